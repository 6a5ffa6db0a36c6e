use mobula::prelude::*;

use std::collections::BTreeMap;

fn main() -> mobula::Result<()> {
    let rt = Runtime::start()?;
    let map = rt.put(&BTreeMap::from([(1, 2)]))?;
    map.view()?;
    Ok(())
}
