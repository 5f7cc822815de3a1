//! TLS between server and database.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use boxoffice_proto::v1;
use private_cluster::{Cluster, Options};

use crate::recorded;
use crate::support::{Server, by, create_event, new_id, wants};

/// A cluster that takes encrypted connections only, with a certificate for `localhost` that it signed itself, and a copy of
/// that certificate.
fn encrypted(dir: &Path) -> (Cluster, PathBuf) {
    let cluster = Cluster::start(&Options::default()).expect("a cluster");
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let data = cluster.directory().join("data");
    let owner = std::fs::metadata(&data).expect("the cluster has a directory");
    let write = |name: &str, content: String| {
        let file = data.join(name);
        std::fs::write(&file, content).expect("a file");
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("permissions");
        chown(&file, Some(owner.uid()), Some(owner.gid())).expect("an owner");
    };
    write("server.crt", signed.cert.pem());
    write("server.key", signed.signing_key.serialize_pem());
    write("pg_hba.conf", "hostssl all all 127.0.0.1/32 trust\n".to_owned());
    // Read with the next reload, which this makes. (psql, too, then encrypts.)
    cluster.set("ssl", "on").expect("TLS is on");
    let authority = dir.join("authority.pem");
    std::fs::write(&authority, signed.cert.pem()).expect("a file");
    (cluster, authority)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_connection_to_the_database_is_encrypted_and_its_certificate_checked() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (cluster, authority) = encrypted(dir.path());
    cluster.create_database("tickets").expect("a database");
    let url = |mode: &str| cluster.url("tickets").replace("127.0.0.1", "localhost") + "?sslmode=" + mode;
    let verified = format!("{}&sslrootcert={}", url("verify-full"), authority.display());

    let server = Server::start_on(&verified, &[]);
    create_event(&server, v1::Event::default(), &[("floor", 10)]).await;
    let id = new_id();
    server.inventory().create_reservation(by("ann", wants(&id, &[("floor", 1)]))).await.expect("a reservation");
    let encrypted = "SELECT count(*), bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
                      WHERE application_name = 'boxoffice'";
    let seen = cluster.psql("tickets", encrypted).expect("the connections");
    let (count, all) = seen.split_once('|').expect("two columns");
    assert!(count.parse::<u32>().expect("a number") >= 3, "lanes and readers: {seen}");
    assert_eq!(all, "t", "all of them are encrypted");
    drop(server);

    for (wrong, why) in [(url("disable"), "no encryption"), (url("verify-full"), "invalid peer certificate")] {
        let options = ["serve", "--dev", "--listen", "127.0.0.1:0", "--database-url", &wrong];
        let refused = recorded::output(recorded::boxoffice().args(options));
        let told = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{told}");
        assert!(told.starts_with("error: cannot connect to the database: ") && told.contains(why), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}
