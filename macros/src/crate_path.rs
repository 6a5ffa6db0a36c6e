//! The path of `mobula` in the crate that uses a macro.

use std::{env, path::Path};

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::Path as SynPath;

use crate::manifest;

/// Returns the path that the user gave with `crate = ..`, or else the name of the package in the
/// user's manifest.
pub(crate) fn mobula(given: Option<&SynPath>) -> TokenStream {
    if let Some(path) = given {
        return path.to_token_stream();
    }
    // The package itself has that name in its tests and its documentation. If no manifest lists the
    // package, the compiler's message about `::mobula` is good enough.
    let folder = env::var_os("CARGO_MANIFEST_DIR")
        .filter(|_| env::var_os("CARGO_PKG_NAME").is_none_or(|package| package != "mobula"));
    let listed = folder.and_then(|folder| manifest::name_of("mobula", Path::new(&folder)));
    let name = listed.map_or_else(|| "mobula".to_owned(), |name| name.replace('-', "_"));
    let name = Ident::new(&name, Span::call_site());
    quote!(::#name)
}
