//! Which Ray cluster.

use std::str::FromStr;

use mobula_protocol::{Error, Result};

/// How the helper finds the cluster: `auto`, or the address of its head, and the address of the own
/// node if that is not the machine's.
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
}
