//! What is added to a system: one function for each kind of object, each of
//! which gives the id that the MDM chose.
//!
//! None of them is sent a second time when an answer is lost: who adds looks
//! first what is there.

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::Gateway;
use super::convert::ParseError;
use super::error::GatewayError;
use super::request::Call;
use crate::model::id::{FaultSetId, ObjectId, ProtectionDomainId, SdsId, StoragePoolId};

/// What a new storage pool is made with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewPool {
    /// `HDD`, `SSD` or `Transitional`; releases before 3.0 do not ask for it.
    pub media: Option<&'static str>,
    /// Spare capacity in percent; the MDM's own choice when not said.
    pub spare_percent: Option<u8>,
    /// Whether blocks are zeroed before they are given out.
    pub zero_padding: Option<bool>,
    /// Whether data carries checksums.
    pub checksum: Option<bool>,
}

#[derive(Deserialize)]
struct Made {
    id: String,
}

impl Gateway {
    /// Adds a protection domain.
    ///
    /// # Errors
    /// The gateway or the MDM says no.
    pub async fn add_domain(&self, name: &str) -> Result<ProtectionDomainId, GatewayError> {
        let id = self.add("types/ProtectionDomain", "ProtectionDomain", &json!({ "name": name })).await?;
        Ok(ProtectionDomainId::from(id))
    }

    /// Adds a fault set to a domain.
    ///
    /// # Errors
    /// The gateway or the MDM says no.
    pub async fn add_fault_set(&self, domain: &ProtectionDomainId, name: &str) -> Result<FaultSetId, GatewayError> {
        let body = json!({ "protectionDomainId": domain.to_string(), "name": name });
        Ok(FaultSetId::from(self.add("types/FaultSet", "FaultSet", &body).await?))
    }

    /// Adds a storage pool to a domain.
    ///
    /// # Errors
    /// The gateway or the MDM says no.
    pub async fn add_pool(
        &self,
        domain: &ProtectionDomainId,
        name: &str,
        new: &NewPool,
    ) -> Result<StoragePoolId, GatewayError> {
        let mut body = json!({ "protectionDomainId": domain.to_string(), "name": name });
        // Numbers and truths go as text, as every release takes them.
        let said = [
            ("mediaType", new.media.map(str::to_owned)),
            ("sparePercentage", new.spare_percent.map(|percent| percent.to_string())),
            ("zeroPaddingEnabled", new.zero_padding.map(|on| on.to_string())),
            ("checksumEnabled", new.checksum.map(|on| on.to_string())),
        ];
        for (key, value) in said {
            if let Some(value) = value {
                body[key] = Value::String(value);
            }
        }
        Ok(StoragePoolId::from(self.add("types/StoragePool", "StoragePool", &body).await?))
    }

    /// Adds a data server. The fault set can only be chosen now. Each address comes with its role.
    ///
    /// # Errors
    /// The gateway or the MDM says no.
    pub async fn add_sds(
        &self,
        domain: &ProtectionDomainId,
        fault_set: Option<&FaultSetId>,
        name: &str,
        addresses: &[(&str, &str)],
    ) -> Result<SdsId, GatewayError> {
        let list: Vec<Value> =
            addresses.iter().map(|(ip, role)| json!({ "SdsIp": { "ip": ip, "role": role } })).collect();
        let mut body = json!({ "protectionDomainId": domain.to_string(), "name": name, "sdsIpList": list });
        if let Some(fault_set) = fault_set {
            body["faultSetId"] = json!(fault_set.to_string());
        }
        Ok(SdsId::from(self.add("types/Sds", "Sds", &body).await?))
    }

    /// Gives a server one more address, with its role.
    ///
    /// # Errors
    /// The gateway or the MDM says no.
    pub async fn add_sds_ip(&self, sds: &SdsId, ip: &str, role: &str) -> Result<(), GatewayError> {
        self.change_sds(sds, "addSdsIp", &json!({ "ip": ip, "role": role })).await
    }

    /// An address of a server serves others from now on. Without force: the MDM refuses what would leave nobody served.
    ///
    /// # Errors
    /// The gateway or the MDM says no.
    pub async fn set_sds_ip_role(&self, sds: &SdsId, ip: &str, role: &str) -> Result<(), GatewayError> {
        self.change_sds(sds, "setSdsIpRole", &json!({ "sdsIpToSet": ip, "newRole": role })).await
    }

    async fn change_sds(&self, sds: &SdsId, action: &'static str, body: &Value) -> Result<(), GatewayError> {
        let path = format!("/api/instances/Sds::{sds}/action/{action}");
        self.call(Call::change(action, path, body.to_string().into_bytes())).await.map(drop)
    }

    /// Adds a device to a server and a pool. It is never taken over from another server by force.
    ///
    /// # Errors
    /// The gateway or the MDM says no.
    pub async fn add_device(&self, sds: &SdsId, pool: &StoragePoolId, path: &str) -> Result<(), GatewayError> {
        let body = json!({
            "deviceCurrentPathname": path,
            "sdsId": sds.to_string(),
            "storagePoolId": pool.to_string(),
        });
        self.add("types/Device", "Device", &body).await.map(drop)
    }

    async fn add(&self, call: &'static str, kind: &str, body: &Value) -> Result<ObjectId, GatewayError> {
        let path = format!("/api/types/{kind}/instances");
        let answered = self.call(Call::change(call, path, body.to_string().into_bytes())).await?;
        let made: Made = serde_json::from_slice(&answered.body).map_err(|_| GatewayError::Parse {
            call,
            address: answered.address.clone(),
            source: ParseError::Shape { expected: "object with an id" },
        })?;
        Ok(ObjectId::new(&made.id))
    }
}
