//! Tests that a call is made at most once and that no result is lost.

#[expect(
    clippy::print_stdout,
    reason = "the tests print how many cases they tried"
)]
mod promise;
mod rules;
mod world;
