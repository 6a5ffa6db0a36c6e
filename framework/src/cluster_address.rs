//! The addresses of Ray clusters.

use std::str::FromStr;

use mobula_protocol::{Error, Result};

/// The address by which the helper finds the cluster.
///
/// `cluster` is `auto` or the address of the head. `node` is the address of the own node, if it is
/// not the machine's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) cluster: String,
    pub(crate) node: Option<String>,
}

/// The text before the address of the own node.
const NODE: &str = "?node=";

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Address> {
        let (cluster, node) = match text.split_once(NODE) {
            Some((cluster, node)) => (cluster, Some(node.to_owned())),
            None => (text, None),
        };
        let plain = |part: &str| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || ".:-_[]/".contains(c))
        };
        if !plain(cluster) || node.as_deref().is_some_and(|node| !plain(node)) {
            return Err(Error::usage(format!(
                "`{text}` is no address of a Ray cluster; it is `auto`, or a host and a port as \
                 `10.0.0.1:6379`, behind which `?node=10.0.0.2` can say the address of this node"
            )));
        }
        Ok(Address {
            cluster: cluster.to_owned(),
            node,
        })
    }
}

/// The URL of the dashboard of a cluster's head, without a path.
#[cfg(feature = "ray-job")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeadAddress(String);

#[cfg(feature = "ray-job")]
impl HeadAddress {
    pub(crate) fn url(&self) -> &str {
        &self.0
    }
}

#[cfg(feature = "ray-job")]
impl std::fmt::Display for HeadAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(feature = "ray-job")]
impl FromStr for HeadAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<HeadAddress> {
        let url = text.trim_end_matches('/');
        let host = url.strip_prefix("http://");
        let plain = |host: &str| {
            !host.is_empty()
                && host
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || ".:-_[]".contains(c))
        };
        match host {
            Some(host) if plain(host) => Ok(HeadAddress(url.to_owned())),
            _ => Err(Error::usage(format!(
                "`{text}` is no address of a Ray dashboard; it is `http://`, a host and a port, as in \
                 `http://10.0.0.1:8265`; forward the port of a dashboard behind HTTPS (`kubectl port-forward`, \
                 `ssh -L`)"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_name_the_own_node() {
        let address: Address = "127.0.0.2:6380?node=127.0.0.3".parse().unwrap();
        assert_eq!(address.cluster, "127.0.0.2:6380");
        assert_eq!(address.node.as_deref(), Some("127.0.0.3"));
        assert_eq!("auto".parse::<Address>().unwrap().node, None);
        for bad in ["", "a b", "auto?node=", "auto?other=1", "x\"y"] {
            assert!(bad.parse::<Address>().unwrap_err().is_usage(), "{bad}");
        }
    }

    #[cfg(feature = "ray-job")]
    #[test]
    fn a_head_is_an_url_without_a_path() {
        let address: HeadAddress = "http://head:8265/".parse().unwrap();
        assert_eq!(address.url(), "http://head:8265");
        for bad in [
            "head:8265",
            "https://head:8265",
            "http://",
            "http://h/p",
            "http://a b",
        ] {
            assert!(bad.parse::<HeadAddress>().unwrap_err().is_usage(), "{bad}");
        }
    }
}
