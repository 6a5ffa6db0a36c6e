//! The machines of a runtime.

use mobula_protocol::NodeInfo;

/// A machine that runs calls of a runtime. [`Runtime::nodes`](crate::Runtime::nodes) returns all.
///
/// # Examples
/// ```
/// use mobula::prelude::*;
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// let rt = Runtime::builder().workers(2).start()?;
/// let nodes: Vec<mobula::Node> = rt.nodes()?;
/// assert_eq!(nodes.len(), 1); // on a cluster: all that are alive
/// assert!(nodes[0].is_own() && nodes[0].num_cpus() >= 1.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Node(NodeInfo);

impl Node {
    pub(crate) fn new(info: NodeInfo) -> Node {
        Node(info)
    }

    /// Returns the name by which calls and actors are placed: on a Ray cluster the address of the
    /// node, on one machine its host name.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert!(!rt.nodes()?[0].name().is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns how many cores calls can use there: on a Ray cluster the node's `CPU`, on one
    /// machine those of this process.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let cores: f64 = rt.nodes()?.iter().map(|node| node.num_cpus()).sum();
    /// assert!(cores >= 1.0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn num_cpus(&self) -> f64 {
        self.0.cpus
    }

    /// Returns whether the program that started the runtime is there.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// assert_eq!(rt.nodes()?.iter().filter(|node| node.is_own()).count(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_own(&self) -> bool {
        self.0.is_own
    }
}
