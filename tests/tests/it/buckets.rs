//! Buckets of one's own in a VM: mounted, rotated, unmounted; what is refused, and a lost answer.

use fastvm::types::{AwsCredentialsValue, BucketMountCredentials};
use fastvm::{Client, Outcome, Vm, credentials};
use fastvm_local::{Fault, Server};
use fastvm_tests::client;
use tempfile::TempDir;

/// A server with the bucket `s3://models`, in which there is a file.
struct World {
    folder: TempDir,
    server: Server,
    client: Client,
}

impl World {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("s3/models/small")).unwrap();
        std::fs::write(folder.path().join("s3/models/small/weights"), "0.5").unwrap();
        let server = Server::builder().buckets(folder.path()).start().await;
        let server = server.unwrap();
        let client = client(server.base_url(), server.api_key());
        Self {
            folder,
            server,
            client,
        }
    }

    async fn vm(&self) -> Vm {
        self.client.vms().launch("c1m2").await.unwrap()
    }
}

fn aws() -> BucketMountCredentials {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credentials");
    let file = "[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = x\n";
    std::fs::write(&path, file).unwrap();
    credentials::aws_from_file(path, "default").unwrap()
}

#[tokio::test]
async fn a_bucket_is_read_and_written_and_keeps_its_mount_through_a_new_login() {
    let world = World::start().await;
    let vm = world.vm().await;
    let mounts = vm.bucket_mounts();
    let mount = mounts.attach("s3://models/small", "/mnt/m", aws()).await;
    let mount = mount.unwrap();
    assert_eq!(mount.mount_status, "mounted");
    assert_eq!(vm.fs().read("/mnt/m/weights").await.unwrap(), b"0.5");

    vm.fs().write("/mnt/m/made", "here").await.unwrap();
    let made = world.folder.path().join("s3/models/small/made");
    assert_eq!(std::fs::read_to_string(made).unwrap(), "here");

    let rotated = mounts.rotate(&mount.id, aws()).await.unwrap();
    assert_eq!(
        (rotated.id, rotated.mount_status),
        (mount.id.clone(), mount.mount_status)
    );
    mounts.delete(&mount.id).await.unwrap();
    assert!(mounts.list().await.unwrap().is_empty());
    assert!(!vm.fs().exists("/mnt/m/weights").await.unwrap());
}

#[tokio::test]
async fn the_likeliest_mistakes_are_told() {
    let world = World::start().await;
    let vm = world.vm().await;
    let mounts = vm.bucket_mounts();

    let gone = mounts
        .attach("s3://modles", "/mnt/m", aws())
        .await
        .unwrap_err();
    assert_eq!(
        gone.status().map(|status| status.as_u16()),
        Some(400),
        "{gone}"
    );
    assert!(gone.message().contains("modles"), "{gone}");

    let other = mounts
        .attach("gs://models", "/mnt/m", aws())
        .await
        .unwrap_err();
    assert_eq!(other.outcome(), Outcome::Rejected, "{other}");

    let relative = mounts
        .attach("s3://models", "mnt/m", aws())
        .await
        .unwrap_err();
    assert_eq!(relative.outcome(), Outcome::Rejected, "{relative}");

    mounts.attach("s3://models", "/mnt/m", aws()).await.unwrap();
    let taken = mounts
        .attach("s3://models", "/mnt/m", aws())
        .await
        .unwrap_err();
    assert!(taken.is_conflict(), "{taken}");
    assert_eq!(mounts.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_login_is_in_no_error_however_it_is_refused() {
    let world = World::start().await;
    let vm = world.vm().await;
    let login = AwsCredentialsValue::new("canaryOfALogin");
    let login = BucketMountCredentials::AwsCredentials(login);
    let error = vm
        .bucket_mounts()
        .attach("s3://models", "/mnt/m", login)
        .await;
    let error = error.unwrap_err();
    assert!(
        !format!("{error} {error:?}").contains("canaryOfALogin"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_mount_whose_answer_is_lost_is_sent_once_and_is_in_the_list() {
    let world = World::start().await;
    let vm = world.vm().await;
    let lost = Fault::cut_after_work().on("attachBucketMount");
    let lost = world.server.faults().add(lost).unwrap();
    let mounts = vm.bucket_mounts();
    let error = mounts.attach("s3://models", "/mnt/m", aws()).await;
    assert_eq!(error.unwrap_err().outcome(), Outcome::Unknown);
    assert_eq!(world.server.faults().fired(lost), 1);
    let listed = mounts.list().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].mount_path, "/mnt/m");
}
