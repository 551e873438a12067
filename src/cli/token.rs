//! `sio token`: lets a host join that Mesos does not vouch for.

use serde::{Deserialize, Serialize};

use super::controller::{Asker, Question, Where};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The host, by its name in [fleet.static]
    node: String,
    /// Print the answer as it came
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    whom: Where,
}

#[derive(Serialize)]
struct For<'a> {
    node: &'a str,
}

#[derive(Deserialize)]
struct Given {
    token: String,
    fingerprint: String,
}

pub(super) async fn token(arguments: Arguments, asker: &mut Asker<'_>) -> u8 {
    let Arguments { node, json, whom } = arguments;
    asker.json = json;
    let question = Question::post("/api/v1/tokens", &For { node: &node });
    asker.show(&whom, &question, |given: Given| render(&node, &given)).await
}

fn render(node: &str, given: &Given) -> String {
    let Given { token, fingerprint } = given;
    format!(
        "{token}\n\nGood for {node}, once, within an hour. On that host:\n  1. bring ca.pem of the controller's agents.folder there by a way that is trusted\n     (SHA-256 of its certificate: {fingerprint})\n  2. write the token into a file that only root can read\n  3. sio agent join --controller https://CONTROLLER:9466 --node {node} --token-file FILE --ca ca.pem\n  4. start the service: sio agent --controller https://CONTROLLER:9466\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_comes_first_and_then_what_to_do_with_it() {
        let given = Given { token: "abc".to_owned(), fingerprint: "00".to_owned() };
        let text = render("storage9", &given);
        assert!(text.starts_with("abc\n") && text.contains("--node storage9"), "{text}");
    }
}
