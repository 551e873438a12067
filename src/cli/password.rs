//! `sio hash-password`: what `[web.users]` and `[web.tokens]` take instead of a password or a token.

use std::io::{self, BufRead, Write};

use anyhow::{Context, bail};
use base64::Engine;

use crate::model::person::Role;
use crate::web::access::{digest_of, hash};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The name under which somebody logs in, or of a program with a token
    #[arg(long, default_value = "NAME")]
    user: String,
    /// viewer, operator or admin
    #[arg(long, default_value = "viewer", value_parser = |text: &str| Role::read(text).ok_or("viewer, operator or admin"))]
    role: Role,
    /// Make a token for a program instead of asking for a password
    #[arg(long)]
    token: bool,
}

/// Asks for a password (twice at a terminal, one line of the input elsewhere) and writes a section to copy.
pub(super) fn hash_password(
    arguments: &Arguments,
    interactive: bool,
    input: &mut dyn BufRead,
    secret: &mut dyn FnMut(&str) -> io::Result<String>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<()> {
    let Arguments { user, role, token } = arguments;
    let name = if user.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
        user.clone()
    } else {
        serde_json::Value::from(user.as_str()).to_string()
    };
    if *token {
        let token = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        writeln!(err, "the token, which is shown only now (header: Authorization: Bearer TOKEN):\n{token}")?;
        writeln!(out, "[web.tokens.{name}]\nsha256 = \"{}\"\nrole = \"{role}\"", digest_of(&token))?;
        return Ok(());
    }
    let password = if interactive {
        let first = secret("Password: ").context("the password cannot be read")?;
        if first != secret("Once more: ")? {
            bail!("these are two passwords; type one twice");
        }
        first
    } else {
        let mut line = String::new();
        input.read_line(&mut line).context("the password cannot be read from the input")?;
        line.trim_end_matches(['\n', '\r']).to_owned()
    };
    if password.is_empty() {
        bail!("an empty password keeps nobody out; type one, or send it as one line of the input");
    }
    writeln!(out, "[web.users.{name}]\npassword_hash = \"{}\"\nrole = \"{role}\"", hash(&password)?)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(typed: &[&str], input: &str, token: bool) -> Result<(String, String), String> {
        let arguments = Arguments { user: "anna".to_owned(), role: Role::Operator, token };
        let mut typed_now = typed.iter();
        let mut secret = |_: &str| Ok((*typed_now.next().unwrap()).to_owned());
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let interactive = !typed.is_empty();
        hash_password(&arguments, interactive, &mut input.as_bytes(), &mut secret, &mut out, &mut err)
            .map_err(|error| error.to_string())?;
        Ok((String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap()))
    }

    #[test]
    fn what_is_written_is_a_section_without_the_password() {
        for (typed, input) in [(&["hunter2", "hunter2"][..], ""), (&[][..], "hunter2\r\n")] {
            let (out, err) = asked(typed, input, false).unwrap();
            assert!(out.starts_with("[web.users.anna]\npassword_hash = \"$argon2id$v=19$"), "{out}");
            assert!(out.ends_with("role = \"operator\"\n") && !out.contains("hunter2") && err.is_empty(), "{out}{err}");
        }
    }

    #[test]
    fn a_token_is_shown_once_and_only_its_digest_is_to_be_kept() {
        let (out, err) = asked(&[], "", true).unwrap();
        let token = err.lines().last().unwrap();
        assert!(token.len() > 40 && !out.contains(token) && out.contains(&digest_of(token)), "{out}{err}");
    }

    #[test]
    fn mistakes_are_told() {
        assert!(asked(&["a", "b"], "", false).unwrap_err().contains("type one twice"));
        assert!(asked(&[], "\n", false).unwrap_err().contains("empty password"));
    }
}
