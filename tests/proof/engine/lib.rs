//! What may be done to a system, and whether the promises about it are kept: the very files of the product, without the
//! rest of it.

#![cfg_attr(test, allow(dead_code, reason = "fixtures of other parts are not asked for here"))]

#[path = "../../../src/model/mod.rs"]
pub mod model;
#[path = "../../../src/proof/mod.rs"]
pub mod proof;
pub mod sim;
pub mod upgrade;
#[path = "../../../src/work/mod.rs"]
pub mod work;
