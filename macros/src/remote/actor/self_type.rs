//! Replaces `Self` in signatures that other items repeat.

use syn::{
    Expr, Path, Signature,
    visit_mut::{self, VisitMut},
};

/// Returns the signature with the actor's type in the place of `Self`.
pub(super) fn in_signature(signature: &Signature, actor: &Path) -> Signature {
    let mut signature = signature.clone();
    Replace(actor).visit_signature_mut(&mut signature);
    signature
}

/// Returns the expression with the actor's type in the place of `Self`.
pub(super) fn in_expression(expr: &Expr, actor: &Path) -> Expr {
    let mut expr = expr.clone();
    Replace(actor).visit_expr_mut(&mut expr);
    expr
}

struct Replace<'a>(&'a Path);

impl VisitMut for Replace<'_> {
    fn visit_path_mut(&mut self, path: &mut Path) {
        visit_mut::visit_path_mut(self, path);
        let Some(first) = path.segments.first() else {
            return;
        };
        if path.leading_colon.is_some() || first.ident != "Self" {
            return;
        }
        let place = first.ident.span();
        let mut actor = self.0.clone();
        for segment in &mut actor.segments {
            segment
                .ident
                .set_span(segment.ident.span().located_at(place));
        }
        let rest = std::mem::take(&mut path.segments).into_iter().skip(1);
        actor.segments.extend(rest);
        *path = actor;
    }
}
