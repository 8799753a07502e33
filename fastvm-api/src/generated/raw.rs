// Generated from openapi.yaml by `cargo xtask regen`. Edits are lost: change the document.

//! The requests as progenitor builds them; the resource tree sends them.

use std::collections::BTreeMap;
use progenitor_client::{Error, encode_path};
use reqwest::Request;
use crate::types;

pub(crate) struct Client {
    pub(crate) baseurl: reqwest::Url,
    pub(crate) client: reqwest::Client,
}

impl Client {
    pub fn list_vms<'a>(
        &'a self,
        metadata: Option<&'a BTreeMap<String, String>>,
        status: Option<types::VmStatus>,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(&self.baseurl, "/v1/vms");
        Ok(
            self
                .client
                .get(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .query(&progenitor_client::QueryParam::new("metadata", &metadata))
                .query(&progenitor_client::QueryParam::new("status", &status))
                .build()?,
        )
    }

    pub fn launch_vm<'a>(
        &'a self,
        body: &'a types::LaunchVmRequest,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(&self.baseurl, "/v1/vms");
        Ok(
            self
                .client
                .post(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .json(&body)
                .build()?,
        )
    }

    pub fn get_vm<'a>(&'a self, id: &'a str) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/vms/{}", encode_path(& id.to_string())),
        );
        Ok(
            self
                .client
                .get(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .build()?,
        )
    }

    pub fn delete_vm<'a>(&'a self, id: &'a str) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/vms/{}", encode_path(& id.to_string())),
        );
        Ok(
            self
                .client
                .delete(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .build()?,
        )
    }

    pub fn update_vm<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::UpdateVmRequest,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/vms/{}", encode_path(& id.to_string())),
        );
        Ok(
            self
                .client
                .patch(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .json(&body)
                .build()?,
        )
    }

    pub fn pause_vm<'a>(&'a self, id: &'a str) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/vms/{}/pause", encode_path(& id.to_string())),
        );
        Ok(
            self
                .client
                .post(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .build()?,
        )
    }

    pub fn resume_vm<'a>(&'a self, id: &'a str) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/vms/{}/resume", encode_path(& id.to_string())),
        );
        Ok(
            self
                .client
                .post(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .build()?,
        )
    }

    pub fn refresh_vm_ttl<'a>(&'a self, id: &'a str) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/vms/{}/ttl/refresh", encode_path(& id.to_string())),
        );
        Ok(
            self
                .client
                .post(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .build()?,
        )
    }

    pub fn create_console_token<'a>(
        &'a self,
        id: &'a str,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/vms/{}/console-token", encode_path(& id.to_string())),
        );
        Ok(
            self
                .client
                .post(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .build()?,
        )
    }

    pub fn exec_vm<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::ExecVmRequest,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/vms/{}/exec", encode_path(& id.to_string())),
        );
        Ok(
            self
                .client
                .post(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .json(&body)
                .build()?,
        )
    }

    pub fn set_vm_firewall<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::FirewallPolicy,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/vms/{}/firewall", encode_path(& id.to_string())),
        );
        Ok(
            self
                .client
                .put(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .json(&body)
                .build()?,
        )
    }

    pub fn patch_vm_firewall<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::PatchFirewallRequest,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/vms/{}/firewall", encode_path(& id.to_string())),
        );
        Ok(
            self
                .client
                .patch(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .json(&body)
                .build()?,
        )
    }

    pub fn list_services<'a>(&'a self, id: &'a str) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/vms/{}/services", encode_path(& id.to_string())),
        );
        Ok(
            self
                .client
                .get(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .build()?,
        )
    }

    pub fn register_service<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::RegisterServiceRequest,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/vms/{}/services", encode_path(& id.to_string())),
        );
        Ok(
            self
                .client
                .post(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .json(&body)
                .build()?,
        )
    }

    pub fn update_service<'a>(
        &'a self,
        id: &'a str,
        service_name: &'a str,
        body: &'a types::UpdateServiceRequest,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!(
                "/v1/vms/{}/services/{}", encode_path(& id.to_string()), encode_path(&
                service_name.to_string())
            ),
        );
        Ok(
            self
                .client
                .put(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .json(&body)
                .build()?,
        )
    }

    pub fn delete_service<'a>(
        &'a self,
        id: &'a str,
        service_name: &'a str,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!(
                "/v1/vms/{}/services/{}", encode_path(& id.to_string()), encode_path(&
                service_name.to_string())
            ),
        );
        Ok(self.client.delete(url).build()?)
    }

    pub fn presign_file<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::PresignFileRequest,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/vms/{}/files/presign", encode_path(& id.to_string())),
        );
        Ok(
            self
                .client
                .post(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .json(&body)
                .build()?,
        )
    }

    pub fn fetch_file_to_vm<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::FetchFileRequest,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/vms/{}/files/fetch", encode_path(& id.to_string())),
        );
        Ok(
            self
                .client
                .post(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .json(&body)
                .build()?,
        )
    }

    pub fn attach_volume<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::AttachVolumeRequest,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/vms/{}/volumes", encode_path(& id.to_string())),
        );
        Ok(
            self
                .client
                .post(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .json(&body)
                .build()?,
        )
    }

    pub fn detach_volume<'a>(
        &'a self,
        id: &'a str,
        volume_id: &'a str,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!(
                "/v1/vms/{}/volumes/{}", encode_path(& id.to_string()), encode_path(&
                volume_id.to_string())
            ),
        );
        Ok(
            self
                .client
                .delete(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .build()?,
        )
    }

    pub fn list_volumes<'a>(&'a self) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(&self.baseurl, "/v1/volumes");
        Ok(
            self
                .client
                .get(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .build()?,
        )
    }

    pub fn create_volume<'a>(
        &'a self,
        body: &'a types::CreateVolumeRequest,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(&self.baseurl, "/v1/volumes");
        Ok(
            self
                .client
                .post(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .json(&body)
                .build()?,
        )
    }

    pub fn get_volume<'a>(&'a self, id: &'a str) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/volumes/{}", encode_path(& id.to_string())),
        );
        Ok(
            self
                .client
                .get(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .build()?,
        )
    }

    pub fn delete_volume<'a>(&'a self, id: &'a str) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/volumes/{}", encode_path(& id.to_string())),
        );
        Ok(
            self
                .client
                .delete(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .build()?,
        )
    }

    pub fn update_volume<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::UpdateVolumeRequest,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/volumes/{}", encode_path(& id.to_string())),
        );
        Ok(
            self
                .client
                .patch(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .json(&body)
                .build()?,
        )
    }

    pub fn list_volume_attachments<'a>(
        &'a self,
        id: &'a str,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/volumes/{}/attachments", encode_path(& id.to_string())),
        );
        Ok(
            self
                .client
                .get(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .build()?,
        )
    }

    pub fn list_bucket_mounts<'a>(&'a self, id: &'a str) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/vms/{}/bucket-mounts", encode_path(& id.to_string())),
        );
        Ok(
            self
                .client
                .get(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .build()?,
        )
    }

    pub fn attach_bucket_mount<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::AttachBucketMountRequest,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/vms/{}/bucket-mounts", encode_path(& id.to_string())),
        );
        Ok(
            self
                .client
                .post(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .json(&body)
                .build()?,
        )
    }

    pub fn get_bucket_mount<'a>(
        &'a self,
        id: &'a str,
        bucket_mount_id: &'a str,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!(
                "/v1/vms/{}/bucket-mounts/{}", encode_path(& id.to_string()),
                encode_path(& bucket_mount_id.to_string())
            ),
        );
        Ok(
            self
                .client
                .get(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .build()?,
        )
    }

    pub fn delete_bucket_mount<'a>(
        &'a self,
        id: &'a str,
        bucket_mount_id: &'a str,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!(
                "/v1/vms/{}/bucket-mounts/{}", encode_path(& id.to_string()),
                encode_path(& bucket_mount_id.to_string())
            ),
        );
        Ok(self.client.delete(url).build()?)
    }

    pub fn rotate_bucket_mount<'a>(
        &'a self,
        id: &'a str,
        bucket_mount_id: &'a str,
        body: &'a types::RotateBucketMountRequest,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!(
                "/v1/vms/{}/bucket-mounts/{}", encode_path(& id.to_string()),
                encode_path(& bucket_mount_id.to_string())
            ),
        );
        Ok(
            self
                .client
                .patch(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .json(&body)
                .build()?,
        )
    }

    pub fn list_ssh_keys<'a>(&'a self) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(&self.baseurl, "/v1/me/ssh-keys");
        Ok(
            self
                .client
                .get(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .build()?,
        )
    }

    pub fn add_ssh_key<'a>(
        &'a self,
        body: &'a types::AddSshKeyRequest,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(&self.baseurl, "/v1/me/ssh-keys");
        Ok(
            self
                .client
                .post(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .json(&body)
                .build()?,
        )
    }

    pub fn delete_ssh_key<'a>(
        &'a self,
        fingerprint: &'a str,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/me/ssh-keys/{}", encode_path(& fingerprint.to_string())),
        );
        Ok(
            self
                .client
                .delete(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .build()?,
        )
    }

    pub fn list_snapshots<'a>(
        &'a self,
        metadata: Option<&'a BTreeMap<String, String>>,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(&self.baseurl, "/v1/snapshots");
        Ok(
            self
                .client
                .get(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .query(&progenitor_client::QueryParam::new("metadata", &metadata))
                .build()?,
        )
    }

    pub fn create_snapshot<'a>(
        &'a self,
        body: &'a types::CreateSnapshotRequest,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(&self.baseurl, "/v1/snapshots");
        Ok(
            self
                .client
                .post(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .json(&body)
                .build()?,
        )
    }

    pub fn get_snapshot<'a>(&'a self, id: &'a str) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/snapshots/{}", encode_path(& id.to_string())),
        );
        Ok(
            self
                .client
                .get(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .build()?,
        )
    }

    pub fn delete_snapshot<'a>(&'a self, id: &'a str) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/snapshots/{}", encode_path(& id.to_string())),
        );
        Ok(
            self
                .client
                .delete(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .build()?,
        )
    }

    pub fn update_snapshot<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::UpdateSnapshotRequest,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/snapshots/{}", encode_path(& id.to_string())),
        );
        Ok(
            self
                .client
                .patch(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .json(&body)
                .build()?,
        )
    }

    pub fn list_snapshot_imports<'a>(&'a self) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(&self.baseurl, "/v1/snapshot-imports");
        Ok(
            self
                .client
                .get(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .build()?,
        )
    }

    pub fn create_snapshot_import<'a>(
        &'a self,
        body: &'a types::CreateSnapshotImportRequest,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(&self.baseurl, "/v1/snapshot-imports");
        Ok(
            self
                .client
                .post(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .json(&body)
                .build()?,
        )
    }

    pub fn presign_snapshot_import_context<'a>(
        &'a self,
        body: &'a types::PresignContextRequest,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            "/v1/snapshot-imports/context-presign",
        );
        Ok(
            self
                .client
                .post(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .json(&body)
                .build()?,
        )
    }

    pub fn get_snapshot_import<'a>(&'a self, id: &'a str) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/snapshot-imports/{}", encode_path(& id.to_string())),
        );
        Ok(
            self
                .client
                .get(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .build()?,
        )
    }

    pub fn delete_snapshot_import<'a>(
        &'a self,
        id: &'a str,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/snapshot-imports/{}", encode_path(& id.to_string())),
        );
        Ok(
            self
                .client
                .delete(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .build()?,
        )
    }

    pub fn cancel_snapshot_import<'a>(
        &'a self,
        id: &'a str,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/snapshot-imports/{}/cancel", encode_path(& id.to_string())),
        );
        Ok(
            self
                .client
                .post(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .build()?,
        )
    }

    pub fn get_org_quotas<'a>(&'a self) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(&self.baseurl, "/v1/org/quotas");
        Ok(
            self
                .client
                .get(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .build()?,
        )
    }

    pub fn get_pricing<'a>(&'a self) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(&self.baseurl, "/v1/pricing");
        Ok(
            self
                .client
                .get(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .build()?,
        )
    }

    pub fn get_health<'a>(&'a self) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(&self.baseurl, "/healthz");
        Ok(
            self
                .client
                .get(url)
                .header(
                    ::reqwest::header::ACCEPT,
                    ::reqwest::header::HeaderValue::from_static("application/json"),
                )
                .build()?,
        )
    }

    pub fn exec_vm_stream<'a>(
        &'a self,
        id_of_stream: &'a str,
        body: &'a types::ExecVmRequest,
    ) -> Result<Request, Error<()>> {
        let url = crate::exchange::below(
            &self.baseurl,
            &format!("/v1/vms/{}/exec", encode_path(& id_of_stream.to_string())),
        );
        Ok(self.client.post(url).json(&body).build()?)
    }
}
