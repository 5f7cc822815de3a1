//! Where Redis is: one server, several of which one is the primary, or a Redis Cluster.

use std::path::PathBuf;

use redis::{ConnectionInfo, IntoConnectionInfo as _, ProtocolVersion, TlsCertificates};

use crate::files::{self, FileError};

/// The port where a URL names none.
const PORT: u16 = 6379;

/// Where Redis is, and who we are to it.
#[derive(Debug, Clone)]
pub struct RedisAddress {
    seeds: Vec<ConnectionInfo>,
    cluster: bool,
    tls: bool,
    password_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
}

/// What is read from files each time that a connection is made, so that they may be replaced while the server runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Secrets {
    password: Option<String>,
    authorities: Option<Vec<u8>>,
}

impl RedisAddress {
    /// Reads `redis://user:password@host:port/database`, or `rediss://…` with TLS. Several `host:port` may stand there with
    /// commas between, of which the one that is the primary is used. `redis+cluster://…` and `rediss+cluster://…` name nodes
    /// of a Redis Cluster, from which the others are learned.
    ///
    /// # Errors
    /// Says what is wrong with it, without the password.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or("it has no ://")?;
        let (tls, cluster) = match scheme {
            "redis" => (false, false),
            "rediss" => (true, false),
            "redis+cluster" => (false, true),
            "rediss+cluster" => (true, true),
            _ => {
                return Err(
                    "it begins neither with redis:// or rediss:// nor with redis+cluster:// or rediss+cluster://"
                        .to_owned(),
                );
            }
        };
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let database = match database {
            "" => 0,
            number => number.parse::<u16>().map_err(|_| "what follows the hosts is not the number of a database")?,
        };
        if cluster && database != 0 {
            return Err("a Redis Cluster has no databases but 0".to_owned());
        }
        let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
        let at = if user.is_empty() { "" } else { "@" };
        let secure = if tls { "rediss" } else { "redis" };
        let seeds = hosts.split(',').zip(1..).map(|(host, number)| {
            if host.is_empty() {
                return Err("it names no host".to_owned());
            }
            let named = host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
            let host = if named { host.to_owned() } else { format!("{host}:{PORT}") };
            // The library's own message may quote the password. What stands in the host's place may be one as well, where the
            // host was forgotten.
            let wrong = |_| {
                format!("host {number} is no host and port, or user and password hold what must be percent-encoded")
            };
            let info = format!("{secure}://{user}{at}{host}/{database}").into_connection_info().map_err(wrong)?;
            let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
            Ok(info.set_redis_settings(settings))
        });
        let seeds = seeds.collect::<Result<_, _>>()?;
        Ok(Self { seeds, cluster, tls, password_file: None, ca_file: None })
    }

    /// The password is what this file holds (a line end after it does not count). It is read for each new connection.
    ///
    /// # Errors
    /// If the URL has one, too.
    pub fn with_password_file(mut self, path: PathBuf) -> Result<Self, String> {
        if self.seeds.iter().any(|seed| seed.redis_settings().password().is_some()) {
            return Err("the password stands both in the URL and in a file".to_owned());
        }
        self.password_file = Some(path);
        Ok(self)
    }

    /// Servers are to have certificates of these authorities (PEM), rather than of those that the system trusts.
    ///
    /// # Errors
    /// If the URL says that there is no TLS.
    pub fn with_ca_file(mut self, path: PathBuf) -> Result<Self, String> {
        if !self.tls {
            return Err("certificate authorities are of use only with rediss:// or rediss+cluster://".to_owned());
        }
        self.ca_file = Some(path);
        Ok(self)
    }

    pub(super) const fn is_cluster(&self) -> bool {
        self.cluster
    }

    /// Reads the files.
    ///
    /// # Errors
    /// Where one cannot be read. The password's content is never told.
    pub(super) fn secrets(&self) -> Result<Secrets, FileError> {
        let password = match &self.password_file {
            None => None,
            Some(path) => {
                let text = String::from_utf8(files::read(path)?);
                let text = text.map_err(|_| FileError::new(path, "is not text"))?;
                Some(text.trim_end_matches(['\r', '\n']).to_owned())
            }
        };
        let authorities = self.ca_file.as_deref().map(files::read).transpose()?;
        Ok(Secrets { password, authorities })
    }

    /// Its seeds, with what is to be told them.
    pub(super) fn seeds(&self, secrets: &Secrets) -> Vec<ConnectionInfo> {
        let with_password = |seed: &ConnectionInfo| match &secrets.password {
            None => seed.clone(),
            Some(password) => {
                let settings = seed.redis_settings().clone().set_password(password);
                seed.clone().set_redis_settings(settings)
            }
        };
        self.seeds.iter().map(with_password).collect()
    }
}

impl Secrets {
    /// The authorities as the library takes them. `None`: those that the system trusts.
    pub(super) fn certificates(&self) -> Option<TlsCertificates> {
        let root_cert = self.authorities.clone()?;
        Some(TlsCertificates { client_tls: None, root_cert: Some(root_cert) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Seed = (String, Option<String>, Option<String>, i64);

    fn seeds(url: &str) -> (bool, Vec<Seed>) {
        let address = RedisAddress::parse(url).unwrap();
        let seen = address.seeds.iter().map(|seed| {
            let settings = seed.redis_settings();
            let own = |text: Option<&str>| text.map(str::to_owned);
            (seed.addr().to_string(), own(settings.username()), own(settings.password()), settings.db())
        });
        (address.cluster, seen.collect())
    }

    #[test]
    fn a_url_names_one_server_or_several_or_a_cluster() {
        let of = |host: &str, db| (host.to_owned(), Some("ann".to_owned()), Some("p@ss".to_owned()), db);
        assert_eq!(seeds("redis://ann:p%40ss@cache/3"), (false, vec![of("cache:6379", 3)]));
        assert_eq!(seeds("rediss://ann:p%40ss@a:1,b:2"), (false, vec![of("a:1", 0), of("b:2", 0)]));
        assert_eq!(seeds("redis+cluster://ann:p%40ss@a,b:2/"), (true, vec![of("a:6379", 0), of("b:2", 0)]));
        assert_eq!(seeds("redis://127.0.0.1:7"), (false, vec![("127.0.0.1:7".to_owned(), None, None, 0)]));
        assert_eq!(seeds("redis://[::1]").1[0].0, seeds("redis://[::1]:6379").1[0].0);
    }

    #[test]
    fn what_is_no_url_is_refused_without_telling_the_password() {
        for url in [
            "cache",
            "http://ann:secret@cache",
            "redis://ann:secret@cache:nan",
            "redis://ann:secret@cache/x",
            "redis://ann:secret@",
            "redis://ann:secret@a,,b",
            "redis+cluster://ann:secret@cache/1",
            "redis://ann:sec/ret@cache",
            "redis://ann:secret",
            "redis://a,ann:secret",
        ] {
            let told = RedisAddress::parse(url).expect_err(url);
            assert!(!told.contains("sec"), "{told}");
        }
    }

    #[test]
    fn the_password_may_stand_in_a_file_that_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        let told = RedisAddress::parse("redis://ann:x@cache").unwrap().with_password_file(path.clone()).unwrap_err();
        assert!(told.contains("both"), "{told}");
        let address = RedisAddress::parse("redis://ann@cache").unwrap().with_password_file(path.clone()).unwrap();
        address.secrets().expect_err("there is no file yet");
        for password in ["one", "two"] {
            std::fs::write(&path, format!("{password}\n")).unwrap();
            let secrets = address.secrets().unwrap();
            assert_eq!(address.seeds(&secrets)[0].redis_settings().password(), Some(password));
        }
        let told = address.with_ca_file(path).unwrap_err();
        assert!(told.contains("rediss://"), "{told}");
    }
}
