// Generated from openapi.yaml by `cargo xtask regen`. Edits are lost: change the document.

//! The requests themselves, as progenitor writes them; the resource tree calls them.

use std::collections::BTreeMap;
use progenitor_client::{
    ByteStream, ClientHooks, ClientInfo, Error, OperationInfo, ResponseValue, encode_path,
};
use crate::types;

pub(crate) struct Client {
    pub(crate) baseurl: std::sync::Arc<reqwest::Url>,
    pub(crate) client: reqwest::Client,
    pub(crate) inner: crate::hooks::Runtime,
}

impl ClientInfo<crate::hooks::Runtime> for Client {
    fn api_version() -> &'static str {
        "1.0.0"
    }

    fn baseurl(&self) -> &str {
        self.baseurl.as_str()
    }

    fn client(&self) -> &reqwest::Client {
        &self.client
    }

    fn inner(&self) -> &crate::hooks::Runtime {
        &self.inner
    }
}

impl Client {
    pub async fn list_vms<'a>(
        &'a self,
        metadata: Option<&'a BTreeMap<String, String>>,
        status: Option<types::VmStatus>,
    ) -> Result<ResponseValue<Vec<types::Vm>>, Error<()>> {
        let url = crate::hooks::below(&self.baseurl, "/v1/vms");
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .query(&progenitor_client::QueryParam::new("metadata", &metadata))
            .query(&progenitor_client::QueryParam::new("status", &status))
            .build()?;
        let info = OperationInfo {
            operation_id: "list_vms",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn launch_vm<'a>(
        &'a self,
        body: &'a types::LaunchVmRequest,
    ) -> Result<ResponseValue<types::LaunchVmResponse>, Error<()>> {
        let url = crate::hooks::below(&self.baseurl, "/v1/vms");
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .build()?;
        let info = OperationInfo {
            operation_id: "launch_vm",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn get_vm<'a>(
        &'a self,
        id: &'a str,
    ) -> Result<ResponseValue<types::Vm>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/vms/{}", encode_path(& id.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .build()?;
        let info = OperationInfo {
            operation_id: "get_vm",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn delete_vm<'a>(
        &'a self,
        id: &'a str,
    ) -> Result<ResponseValue<types::DeleteResponse>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/vms/{}", encode_path(& id.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .delete(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .build()?;
        let info = OperationInfo {
            operation_id: "delete_vm",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn update_vm<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::UpdateVmRequest,
    ) -> Result<ResponseValue<types::Vm>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/vms/{}", encode_path(& id.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .patch(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .build()?;
        let info = OperationInfo {
            operation_id: "update_vm",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn pause_vm<'a>(
        &'a self,
        id: &'a str,
    ) -> Result<ResponseValue<types::Vm>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/vms/{}/pause", encode_path(& id.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .build()?;
        let info = OperationInfo {
            operation_id: "pause_vm",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn resume_vm<'a>(
        &'a self,
        id: &'a str,
    ) -> Result<ResponseValue<types::Vm>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/vms/{}/resume", encode_path(& id.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .build()?;
        let info = OperationInfo {
            operation_id: "resume_vm",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn refresh_vm_ttl<'a>(
        &'a self,
        id: &'a str,
    ) -> Result<ResponseValue<types::Vm>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/vms/{}/ttl/refresh", encode_path(& id.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .build()?;
        let info = OperationInfo {
            operation_id: "refresh_vm_ttl",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn create_console_token<'a>(
        &'a self,
        id: &'a str,
    ) -> Result<ResponseValue<types::ConsoleTokenResponse>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/vms/{}/console-token", encode_path(& id.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .build()?;
        let info = OperationInfo {
            operation_id: "create_console_token",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn exec_vm<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::ExecVmRequest,
    ) -> Result<ResponseValue<types::ExecVmResponse>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/vms/{}/exec", encode_path(& id.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .build()?;
        let info = OperationInfo {
            operation_id: "exec_vm",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn set_vm_firewall<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::FirewallPolicy,
    ) -> Result<ResponseValue<types::Vm>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/vms/{}/firewall", encode_path(& id.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .put(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .build()?;
        let info = OperationInfo {
            operation_id: "set_vm_firewall",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn patch_vm_firewall<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::PatchFirewallRequest,
    ) -> Result<ResponseValue<types::Vm>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/vms/{}/firewall", encode_path(& id.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .patch(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .build()?;
        let info = OperationInfo {
            operation_id: "patch_vm_firewall",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn list_services<'a>(
        &'a self,
        id: &'a str,
    ) -> Result<ResponseValue<Vec<types::Service>>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/vms/{}/services", encode_path(& id.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .build()?;
        let info = OperationInfo {
            operation_id: "list_services",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn register_service<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::RegisterServiceRequest,
    ) -> Result<ResponseValue<types::Service>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/vms/{}/services", encode_path(& id.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .build()?;
        let info = OperationInfo {
            operation_id: "register_service",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn update_service<'a>(
        &'a self,
        id: &'a str,
        service_name: &'a str,
        body: &'a types::UpdateServiceRequest,
    ) -> Result<ResponseValue<types::Service>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!(
                "/v1/vms/{}/services/{}", encode_path(& id.to_string()), encode_path(&
                service_name.to_string())
            ),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .put(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .build()?;
        let info = OperationInfo {
            operation_id: "update_service",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn delete_service<'a>(
        &'a self,
        id: &'a str,
        service_name: &'a str,
    ) -> Result<ResponseValue<()>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!(
                "/v1/vms/{}/services/{}", encode_path(& id.to_string()), encode_path(&
                service_name.to_string())
            ),
        );
        #[allow(unused_mut)]
        let mut request = self.client.delete(url).build()?;
        let info = OperationInfo {
            operation_id: "delete_service",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => Ok(ResponseValue::empty(response)),
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn presign_file<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::PresignFileRequest,
    ) -> Result<ResponseValue<types::FilePresignResponse>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/vms/{}/files/presign", encode_path(& id.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .build()?;
        let info = OperationInfo {
            operation_id: "presign_file",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn fetch_file_to_vm<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::FetchFileRequest,
    ) -> Result<ResponseValue<types::ExecVmResponse>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/vms/{}/files/fetch", encode_path(& id.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .build()?;
        let info = OperationInfo {
            operation_id: "fetch_file_to_vm",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn attach_volume<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::AttachVolumeRequest,
    ) -> Result<ResponseValue<types::VolumeAttachmentItem>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/vms/{}/volumes", encode_path(& id.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .build()?;
        let info = OperationInfo {
            operation_id: "attach_volume",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn detach_volume<'a>(
        &'a self,
        id: &'a str,
        volume_id: &'a str,
    ) -> Result<ResponseValue<types::DetachVolumeResponse>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!(
                "/v1/vms/{}/volumes/{}", encode_path(& id.to_string()), encode_path(&
                volume_id.to_string())
            ),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .delete(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .build()?;
        let info = OperationInfo {
            operation_id: "detach_volume",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn list_volumes<'a>(
        &'a self,
    ) -> Result<ResponseValue<Vec<types::Volume>>, Error<()>> {
        let url = crate::hooks::below(&self.baseurl, "/v1/volumes");
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .build()?;
        let info = OperationInfo {
            operation_id: "list_volumes",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn create_volume<'a>(
        &'a self,
        body: &'a types::CreateVolumeRequest,
    ) -> Result<ResponseValue<types::Volume>, Error<()>> {
        let url = crate::hooks::below(&self.baseurl, "/v1/volumes");
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .build()?;
        let info = OperationInfo {
            operation_id: "create_volume",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn get_volume<'a>(
        &'a self,
        id: &'a str,
    ) -> Result<ResponseValue<types::Volume>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/volumes/{}", encode_path(& id.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .build()?;
        let info = OperationInfo {
            operation_id: "get_volume",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn delete_volume<'a>(
        &'a self,
        id: &'a str,
    ) -> Result<ResponseValue<types::DeleteResponse>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/volumes/{}", encode_path(& id.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .delete(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .build()?;
        let info = OperationInfo {
            operation_id: "delete_volume",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn update_volume<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::UpdateVolumeRequest,
    ) -> Result<ResponseValue<types::Volume>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/volumes/{}", encode_path(& id.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .patch(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .build()?;
        let info = OperationInfo {
            operation_id: "update_volume",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn list_volume_attachments<'a>(
        &'a self,
        id: &'a str,
    ) -> Result<ResponseValue<Vec<types::VolumeAttachmentItemWithVm>>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/volumes/{}/attachments", encode_path(& id.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .build()?;
        let info = OperationInfo {
            operation_id: "list_volume_attachments",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn list_bucket_mounts<'a>(
        &'a self,
        id: &'a str,
    ) -> Result<ResponseValue<Vec<types::BucketMount>>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/vms/{}/bucket-mounts", encode_path(& id.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .build()?;
        let info = OperationInfo {
            operation_id: "list_bucket_mounts",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn attach_bucket_mount<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::AttachBucketMountRequest,
    ) -> Result<ResponseValue<types::BucketMount>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/vms/{}/bucket-mounts", encode_path(& id.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .build()?;
        let info = OperationInfo {
            operation_id: "attach_bucket_mount",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn get_bucket_mount<'a>(
        &'a self,
        id: &'a str,
        bucket_mount_id: &'a str,
    ) -> Result<ResponseValue<types::BucketMount>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!(
                "/v1/vms/{}/bucket-mounts/{}", encode_path(& id.to_string()),
                encode_path(& bucket_mount_id.to_string())
            ),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .build()?;
        let info = OperationInfo {
            operation_id: "get_bucket_mount",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn delete_bucket_mount<'a>(
        &'a self,
        id: &'a str,
        bucket_mount_id: &'a str,
    ) -> Result<ResponseValue<()>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!(
                "/v1/vms/{}/bucket-mounts/{}", encode_path(& id.to_string()),
                encode_path(& bucket_mount_id.to_string())
            ),
        );
        #[allow(unused_mut)]
        let mut request = self.client.delete(url).build()?;
        let info = OperationInfo {
            operation_id: "delete_bucket_mount",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => Ok(ResponseValue::empty(response)),
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn rotate_bucket_mount<'a>(
        &'a self,
        id: &'a str,
        bucket_mount_id: &'a str,
        body: &'a types::RotateBucketMountRequest,
    ) -> Result<ResponseValue<types::BucketMount>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!(
                "/v1/vms/{}/bucket-mounts/{}", encode_path(& id.to_string()),
                encode_path(& bucket_mount_id.to_string())
            ),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .patch(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .build()?;
        let info = OperationInfo {
            operation_id: "rotate_bucket_mount",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn list_ssh_keys<'a>(
        &'a self,
    ) -> Result<ResponseValue<types::SshKeyListResponse>, Error<()>> {
        let url = crate::hooks::below(&self.baseurl, "/v1/me/ssh-keys");
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .build()?;
        let info = OperationInfo {
            operation_id: "list_ssh_keys",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn add_ssh_key<'a>(
        &'a self,
        body: &'a types::AddSshKeyRequest,
    ) -> Result<ResponseValue<types::SshKey>, Error<()>> {
        let url = crate::hooks::below(&self.baseurl, "/v1/me/ssh-keys");
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .build()?;
        let info = OperationInfo {
            operation_id: "add_ssh_key",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn delete_ssh_key<'a>(
        &'a self,
        fingerprint: &'a str,
    ) -> Result<ResponseValue<types::DeleteResponse>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/me/ssh-keys/{}", encode_path(& fingerprint.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .delete(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .build()?;
        let info = OperationInfo {
            operation_id: "delete_ssh_key",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn list_snapshots<'a>(
        &'a self,
        metadata: Option<&'a BTreeMap<String, String>>,
    ) -> Result<ResponseValue<Vec<types::Snapshot>>, Error<()>> {
        let url = crate::hooks::below(&self.baseurl, "/v1/snapshots");
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .query(&progenitor_client::QueryParam::new("metadata", &metadata))
            .build()?;
        let info = OperationInfo {
            operation_id: "list_snapshots",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn create_snapshot<'a>(
        &'a self,
        body: &'a types::CreateSnapshotRequest,
    ) -> Result<ResponseValue<types::Snapshot>, Error<()>> {
        let url = crate::hooks::below(&self.baseurl, "/v1/snapshots");
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .build()?;
        let info = OperationInfo {
            operation_id: "create_snapshot",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn get_snapshot<'a>(
        &'a self,
        id: &'a str,
    ) -> Result<ResponseValue<types::Snapshot>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/snapshots/{}", encode_path(& id.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .build()?;
        let info = OperationInfo {
            operation_id: "get_snapshot",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn delete_snapshot<'a>(
        &'a self,
        id: &'a str,
    ) -> Result<ResponseValue<types::DeleteResponse>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/snapshots/{}", encode_path(& id.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .delete(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .build()?;
        let info = OperationInfo {
            operation_id: "delete_snapshot",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn update_snapshot<'a>(
        &'a self,
        id: &'a str,
        body: &'a types::UpdateSnapshotRequest,
    ) -> Result<ResponseValue<types::Snapshot>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/snapshots/{}", encode_path(& id.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .patch(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .build()?;
        let info = OperationInfo {
            operation_id: "update_snapshot",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn list_snapshot_imports<'a>(
        &'a self,
    ) -> Result<ResponseValue<Vec<types::SnapshotImportResponse>>, Error<()>> {
        let url = crate::hooks::below(&self.baseurl, "/v1/snapshot-imports");
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .build()?;
        let info = OperationInfo {
            operation_id: "list_snapshot_imports",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn create_snapshot_import<'a>(
        &'a self,
        body: &'a types::CreateSnapshotImportRequest,
    ) -> Result<ResponseValue<types::SnapshotImportResponse>, Error<()>> {
        let url = crate::hooks::below(&self.baseurl, "/v1/snapshot-imports");
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .build()?;
        let info = OperationInfo {
            operation_id: "create_snapshot_import",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn presign_snapshot_import_context<'a>(
        &'a self,
        body: &'a types::PresignContextRequest,
    ) -> Result<ResponseValue<types::ContextPresignResponse>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            "/v1/snapshot-imports/context-presign",
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .json(&body)
            .build()?;
        let info = OperationInfo {
            operation_id: "presign_snapshot_import_context",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn get_snapshot_import<'a>(
        &'a self,
        id: &'a str,
    ) -> Result<ResponseValue<types::SnapshotImportResponse>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/snapshot-imports/{}", encode_path(& id.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .build()?;
        let info = OperationInfo {
            operation_id: "get_snapshot_import",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn delete_snapshot_import<'a>(
        &'a self,
        id: &'a str,
    ) -> Result<ResponseValue<types::DeleteResponse>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/snapshot-imports/{}", encode_path(& id.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .delete(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .build()?;
        let info = OperationInfo {
            operation_id: "delete_snapshot_import",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn cancel_snapshot_import<'a>(
        &'a self,
        id: &'a str,
    ) -> Result<ResponseValue<types::SnapshotImportResponse>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/snapshot-imports/{}/cancel", encode_path(& id.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self
            .client
            .post(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .build()?;
        let info = OperationInfo {
            operation_id: "cancel_snapshot_import",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn get_org_quotas<'a>(
        &'a self,
    ) -> Result<ResponseValue<types::OrgQuotaUsage>, Error<()>> {
        let url = crate::hooks::below(&self.baseurl, "/v1/org/quotas");
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .build()?;
        let info = OperationInfo {
            operation_id: "get_org_quotas",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn get_pricing<'a>(
        &'a self,
    ) -> Result<ResponseValue<types::PricingResponse>, Error<()>> {
        let url = crate::hooks::below(&self.baseurl, "/v1/pricing");
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .build()?;
        let info = OperationInfo {
            operation_id: "get_pricing",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn get_health<'a>(
        &'a self,
    ) -> Result<ResponseValue<types::HealthResponse>, Error<()>> {
        let url = crate::hooks::below(&self.baseurl, "/healthz");
        #[allow(unused_mut)]
        let mut request = self
            .client
            .get(url)
            .header(
                ::reqwest::header::ACCEPT,
                ::reqwest::header::HeaderValue::from_static("application/json"),
            )
            .build()?;
        let info = OperationInfo {
            operation_id: "get_health",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => crate::hooks::read(response).await,
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }

    pub async fn exec_vm_stream<'a>(
        &'a self,
        id_of_stream: &'a str,
        body: &'a types::ExecVmRequest,
    ) -> Result<ResponseValue<ByteStream>, Error<()>> {
        let url = crate::hooks::below(
            &self.baseurl,
            &format!("/v1/vms/{}/exec", encode_path(& id_of_stream.to_string())),
        );
        #[allow(unused_mut)]
        let mut request = self.client.post(url).json(&body).build()?;
        let info = OperationInfo {
            operation_id: "exec_vm_stream",
        };
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        match response.status().as_u16() {
            200..=299 => Ok(ResponseValue::stream(response)),
            _ => Err(Error::UnexpectedResponse(response)),
        }
    }
}
