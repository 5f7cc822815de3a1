//! `token`: makes tokens.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use boxoffice::causes::in_one_line;
use boxoffice::domain::OwnerId;
use boxoffice::identity::{Minted, Minter, Role};
use clap::Subcommand;

use super::failure::Failure;
use super::output::print_line;
use super::values;

/// Options of `token`.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a token, and print it
    Mint(Mint),
}

#[derive(clap::Args)]
struct Mint {
    /// What signs: a private key in PEM (RSA, P-256 or Ed25519), or a secret of at least 32 bytes in base64
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// What its bearer may do: buyer, gateway or admin
    #[arg(long, value_parser = role)]
    role: Role,
    /// Who its bearer is: the buyer, or the name of the gateway or of the operator
    #[arg(long, value_name = "NAME", value_parser = owner)]
    owner: OwnerId,
    /// How long it is valid
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = values::span)]
    ttl: Duration,
    /// The server that it is for (aud), as the server's --auth-audience says
    #[arg(long, value_name = "TEXT")]
    audience: Option<String>,
    /// Who made it (iss), as the server's --auth-issuer says
    #[arg(long, value_name = "TEXT")]
    issuer: Option<String>,
    /// The name of the key in the server's JWK set
    #[arg(long, value_name = "TEXT")]
    kid: Option<String>,
}

fn role(text: &str) -> Result<Role, String> {
    Role::of_name(text).ok_or_else(|| "must be buyer, gateway or admin".to_owned())
}

fn owner(text: &str) -> Result<OwnerId, String> {
    OwnerId::new(text).map_err(|error| error.to_string())
}

/// Makes the token.
pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let Command::Mint(mint) = args.command;
    let minter = Minter::load(&mint.key);
    let minter = minter.map_err(|error| Failure::Usage(format!("cannot read {}", in_one_line(&error))))?;
    let now = now();
    let claims = Minted {
        sub: Some(mint.owner.as_str().to_owned()),
        role: Some(mint.role.as_str().to_owned()),
        iat: Some(now.as_secs()),
        exp: Some(now.saturating_add(mint.ttl).as_secs()),
        nbf: None,
        aud: mint.audience,
        iss: mint.issuer,
    };
    let token = minter.mint(&claims, mint.kid.as_deref());
    print_line(&token.map_err(|error| Failure::Failed(in_one_line(&error)))?)
}

#[expect(clippy::disallowed_methods, reason = "a token begins when somebody types the command")]
fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
