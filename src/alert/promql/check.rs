//! Does an expression fit what we serve? Found when rules are loaded, not when they should have fired.
pub struct Todo;
