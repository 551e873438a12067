//! Writes every mistake of a kind into source files at once, each behind a number: `mutate LIST FILE..`.
//!
//! One build then plays all of them, one after the other (`tests/scripts/mutants`). A build for each, as `cargo mutants`
//! makes it, would take a day. The kinds are those of `cargo mutants`:
//!
//! - a function gives its simplest value at once: nothing, `true`, `false`, `None`, empty;
//! - `==`, `<`, `&&` and their like become others, `!` is left out, and one is added or taken where it was the other;
//! - an arm of a `match` that has an arm for the rest is left out, and a guard says always yes or always no.
//!
//! What tests and constants hold stays as it is.

#![allow(clippy::print_stderr, clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write as _;

use quote::{ToTokens, quote};
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, BinOp, Block, Expr, Pat, ReturnType, Signature, Type, UnOp, parse_quote};

struct Mutate {
    file: String,
    function: Vec<String>,
    next: u32,
    list: String,
}

fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|at| at.path().is_ident("cfg") && at.to_token_stream().to_string().contains("test"))
}

fn has_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(both) => has_let(&both.left) || has_let(&both.right),
        Expr::Paren(inner) => has_let(&inner.expr),
        _ => false,
    }
}

impl Mutate {
    fn mutant(&mut self, what: &str) -> Expr {
        let number = self.next;
        self.next += 1;
        let what: String = what.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(120).collect();
        writeln!(self.list, "{number}\t{}\t{}\t{what}", self.file, self.function.join("::")).unwrap();
        parse_quote!(crate::mutated(#number))
    }

    /// The simplest values that a function can give.
    fn values(output: &ReturnType) -> Vec<Expr> {
        let ReturnType::Type(_, of) = output else { return vec![parse_quote!(())] };
        let Type::Path(path) = &**of else { return Vec::new() };
        let Some(last) = path.path.segments.last() else { return Vec::new() };
        match last.ident.to_string().as_str() {
            "bool" => vec![parse_quote!(true), parse_quote!(false)],
            "Option" => vec![parse_quote!(None)],
            "Vec" | "BTreeSet" | "BTreeMap" | "String" | "Turn" => vec![parse_quote!(Default::default())],
            "u32" | "u64" | "usize" | "i64" => vec![parse_quote!(0), parse_quote!(1)],
            _ => Vec::new(),
        }
    }

    fn body(&mut self, signature: &Signature, block: &mut Block) {
        if signature.constness.is_some() {
            return;
        }
        self.function.push(signature.ident.to_string());
        visit_mut::visit_block_mut(self, block);
        for value in Self::values(&signature.output) {
            let mutant = self.mutant(&format!("gives {} at once", value.to_token_stream()));
            block.stmts.insert(0, parse_quote!(if #mutant { return #value; }));
        }
        self.function.pop();
    }
}

/// What a binary operator becomes.
fn others(op: &BinOp, right: &Expr) -> Vec<BinOp> {
    let one = matches!(right, Expr::Lit(at) if at.to_token_stream().to_string() == "1");
    match op {
        BinOp::Eq(_) => vec![parse_quote!(!=)],
        BinOp::Ne(_) => vec![parse_quote!(==)],
        BinOp::Lt(_) => vec![parse_quote!(>), parse_quote!(<=)],
        BinOp::Gt(_) => vec![parse_quote!(<), parse_quote!(>=)],
        BinOp::Le(_) => vec![parse_quote!(>), parse_quote!(<)],
        BinOp::Ge(_) => vec![parse_quote!(<), parse_quote!(>)],
        BinOp::And(_) => vec![parse_quote!(||)],
        BinOp::Or(_) => vec![parse_quote!(&&)],
        BinOp::Add(_) if one => vec![parse_quote!(-), parse_quote!(*)],
        BinOp::Sub(_) if one => vec![parse_quote!(+), parse_quote!(/)],
        _ => Vec::new(),
    }
}

impl VisitMut for Mutate {
    fn visit_item_mod_mut(&mut self, item: &mut syn::ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit_mut::visit_item_mod_mut(self, item);
        }
    }

    fn visit_item_const_mut(&mut self, _: &mut syn::ItemConst) {}

    fn visit_item_static_mut(&mut self, _: &mut syn::ItemStatic) {}

    fn visit_type_mut(&mut self, _: &mut Type) {}

    fn visit_pat_mut(&mut self, _: &mut Pat) {}

    fn visit_item_fn_mut(&mut self, item: &mut syn::ItemFn) {
        if !is_for_tests(&item.attrs) {
            self.body(&item.sig, &mut item.block);
        }
    }

    fn visit_item_impl_mut(&mut self, item: &mut syn::ItemImpl) {
        self.function.push(item.self_ty.to_token_stream().to_string());
        visit_mut::visit_item_impl_mut(self, item);
        self.function.pop();
    }

    fn visit_impl_item_fn_mut(&mut self, item: &mut syn::ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            self.body(&item.sig, &mut item.block);
        }
    }

    fn visit_expr_mut(&mut self, expr: &mut Expr) {
        let original = expr.clone();
        visit_mut::visit_expr_mut(self, expr);
        match &original {
            Expr::Binary(both) if !has_let(&original) => {
                let (left, right) = (&both.left, &both.right);
                for op in others(&both.op, right) {
                    let what =
                        format!("{} becomes {} in {}", both.op.to_token_stream(), op.to_token_stream(), quote!(#both));
                    let mutant = self.mutant(&what);
                    let inner = expr.clone();
                    *expr = parse_quote!((if #mutant { (#left) #op (#right) } else { #inner }));
                }
            }
            Expr::Unary(unary) if matches!(unary.op, UnOp::Not(_)) => {
                let without = &unary.expr;
                let mutant = self.mutant(&format!("no ! in {}", original.to_token_stream()));
                let inner = expr.clone();
                *expr = parse_quote!((if #mutant { #without } else { #inner }));
            }
            _ => {}
        }
    }

    fn visit_expr_match_mut(&mut self, at: &mut syn::ExprMatch) {
        let rest = at.arms.iter().any(|arm| matches!(arm.pat, Pat::Wild(_)) && arm.guard.is_none());
        let shown: Vec<String> = at.arms.iter().map(|arm| arm.pat.to_token_stream().to_string()).collect();
        let guards: Vec<Option<Expr>> =
            at.arms.iter().map(|arm| arm.guard.as_ref().map(|(_, guard)| (**guard).clone())).collect();
        visit_mut::visit_expr_match_mut(self, at);
        for ((arm, pattern), before) in at.arms.iter_mut().zip(shown).zip(guards) {
            if let (Some((_, guard)), Some(before)) = (&mut arm.guard, before)
                && !has_let(&before)
            {
                let before = before.to_token_stream();
                let yes = self.mutant(&format!("the guard {before} of {pattern} says yes"));
                let no = self.mutant(&format!("the guard {before} of {pattern} says no"));
                let inner = (**guard).clone();
                **guard = parse_quote!(#yes || (!#no && (#inner)));
            }
            if rest && !matches!(arm.pat, Pat::Wild(_)) {
                let left_out = self.mutant(&format!("no arm for {pattern}"));
                let is_if = syn::token::If::default();
                arm.guard = Some(match arm.guard.take() {
                    Some((_, inner)) if has_let(&inner) => (is_if, inner),
                    Some((_, inner)) => (is_if, Box::new(parse_quote!(!#left_out && (#inner)))),
                    None => (is_if, Box::new(parse_quote!(!#left_out))),
                });
            }
        }
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let list = arguments.next().expect("where the list goes");
    let mut mutate = Mutate { file: String::new(), function: Vec::new(), next: 1, list: String::new() };
    for path in arguments {
        let mut file = syn::parse_file(&std::fs::read_to_string(&path).unwrap()).unwrap();
        mutate.file.clone_from(&path);
        mutate.visit_file_mut(&mut file);
        std::fs::write(&path, file.into_token_stream().to_string()).unwrap();
    }
    std::fs::write(list, &mutate.list).unwrap();
    eprintln!("{} mistakes", mutate.next - 1);
}
