//! Where `mobula` is, seen from the crate that uses a macro.

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::Path;

/// The path that the user gave with `crate = ..`, else the name under which the user's manifest
/// lists the package.
pub(crate) fn mobula(given: Option<&Path>) -> TokenStream {
    if let Some(path) = given {
        return path.to_token_stream();
    }
    match crate_name("mobula") {
        Ok(FoundCrate::Name(name)) => {
            let name = Ident::new(&name, Span::call_site());
            quote!(::#name)
        }
        // The package itself (its tests and documentation know it by that name), or a manifest that
        // cannot be read: then the message about `::mobula` is as good as any other.
        Ok(FoundCrate::Itself) | Err(_) => quote!(::mobula),
    }
}
