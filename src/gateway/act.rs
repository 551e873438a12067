//! One function a change: what a gateway is asked to do. That it said yes proves
//! nothing; whoever asks looks at the system afterwards.
//!
//! No flag that forces anything exists here.

use serde::Deserialize;

use super::client::Gateway;
use super::error::GatewayError;
use super::request::Call;
use crate::model::id::{InstalledSystemId, MdmId, SdcId, SdsId};
use crate::model::step::MaintenanceMode;

/// What the MDM said of one SDS. `resultCode` is a number, as text or not.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    #[serde(default)]
    message: Option<String>,
    #[serde(default)]
    result_code: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Verdicts {
    Named {
        #[serde(rename = "sdsMMResults")]
        results: Vec<Verdict>,
    },
    Bare(Vec<Verdict>),
    Other(serde::de::IgnoredAny),
}

/// The word by which the MDM refused, in an answer of HTTP 200. What is no
/// verdict says nothing.
fn refused(body: &[u8]) -> Option<Box<str>> {
    let verdicts = match serde_json::from_slice(body) {
        Ok(Verdicts::Named { results } | Verdicts::Bare(results)) => results,
        Ok(Verdicts::Other(_)) | Err(_) => return None,
    };
    let bad = |verdict: &Verdict| {
        let word = verdict.message.as_deref().unwrap_or_default();
        let code =
            verdict.result_code.as_ref().map(|code| code.as_str().map_or_else(|| code.to_string(), str::to_owned));
        // Which of them a success has is not documented; each has been seen in a description.
        let good = matches!(word, "" | "SUCCESS") || matches!(code.as_deref(), Some("0" | "65"));
        !good
    };
    let word =
        |verdict: Verdict| verdict.message.unwrap_or_default().chars().filter(|c| !c.is_control()).take(80).collect();
    verdicts.into_iter().find(bad).map(word).map(|word: String| word.into())
}

/// What came of a request to change something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acted {
    /// It was accepted.
    Yes,
    /// The MDM refused by this word, and nothing has changed.
    No(Box<str>),
}

impl Gateway {
    async fn act(&self, name: &'static str, path: String, body: serde_json::Value) -> Result<Acted, GatewayError> {
        let answered = self.call(Call::post(name, path, body.to_string().into_bytes())).await?;
        Ok(refused(&answered.body).map_or(Acted::Yes, Acted::No))
    }

    /// The action has another name for each mode. Protected maintenance is asked of one system, instant of the only one.
    async fn maintain(
        &self,
        system: &InstalledSystemId,
        sds: &SdsId,
        mode: MaintenanceMode,
        [instant, protected]: [&'static str; 2],
    ) -> Result<Acted, GatewayError> {
        let (name, path) = match mode {
            MaintenanceMode::Instant => (instant, format!("/api/instances/System/action/{instant}")),
            MaintenanceMode::Protected => (protected, format!("/api/instances/System::{system}/action/{protected}")),
        };
        self.act(name, path, serde_json::json!({ "sdsId": sds.to_string() })).await
    }

    /// An SDS goes into maintenance.
    ///
    /// # Errors
    /// Why there was no answer, or no yes.
    pub async fn enter_maintenance(
        &self,
        system: &InstalledSystemId,
        sds: &SdsId,
        mode: MaintenanceMode,
    ) -> Result<Acted, GatewayError> {
        self.maintain(system, sds, mode, ["enterMaintenanceMode", "enterProtectedMaintenanceMode"]).await
    }

    /// An SDS leaves the maintenance of this mode.
    ///
    /// # Errors
    /// Why there was no answer, or no yes.
    pub async fn exit_maintenance(
        &self,
        system: &InstalledSystemId,
        sds: &SdsId,
        mode: MaintenanceMode,
    ) -> Result<Acted, GatewayError> {
        self.maintain(system, sds, mode, ["exitMaintenanceMode", "exitProtectedMaintenanceMode"]).await
    }

    /// Another manager owns the MDM cluster.
    ///
    /// # Errors
    /// Why there was no answer, or no yes.
    pub async fn change_mdm_ownership(&self, to: &MdmId) -> Result<Acted, GatewayError> {
        let path = "/api/instances/System/action/changeMdmOwnership".to_owned();
        self.act("changeMdmOwnership", path, serde_json::json!({ "id": to.to_string() })).await
    }

    /// The data of an SDS moves elsewhere, and the SDS leaves the system then.
    ///
    /// # Errors
    /// Why there was no answer, or no yes.
    pub async fn remove_sds(&self, sds: &SdsId) -> Result<Acted, GatewayError> {
        self.act("removeSds", format!("/api/instances/Sds::{sds}/action/removeSds"), serde_json::json!({})).await
    }

    /// An SDS that is about to leave stays.
    ///
    /// # Errors
    /// Why there was no answer, or no yes.
    pub async fn keep_sds(&self, sds: &SdsId) -> Result<Acted, GatewayError> {
        let path = format!("/api/instances/Sds::{sds}/action/abortRemoveSds");
        self.act("abortRemoveSds", path, serde_json::json!({})).await
    }

    /// A client leaves the system.
    ///
    /// # Errors
    /// Why there was no answer, or no yes.
    pub async fn remove_sdc(&self, sdc: &SdcId) -> Result<Acted, GatewayError> {
        self.act("removeSdc", format!("/api/instances/Sdc::{sdc}/action/removeSdc"), serde_json::json!({})).await
    }

    /// The upgrade is final.
    ///
    /// # Errors
    /// Why there was no answer, or no yes.
    pub async fn finalize_upgrade(&self) -> Result<Acted, GatewayError> {
        let path = "/api/instances/System/action/finalizeUpgrade".to_owned();
        self.act("finalizeUpgrade", path, serde_json::json!({})).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_in_an_answer_of_200_is_read_in_every_form() {
        for (body, expected) in [
            ("", None),
            ("{}", None),
            (r#"{"id":"x"}"#, None),
            (r#"{"sdsMMResults":[]}"#, None),
            (r#"{"sdsMMResults":[{"sdsId":"a","message":"SUCCESS","resultCode":"65"}]}"#, None),
            (r#"[{"sdsId":"a","message":"TGT_ALREADY_IN_MM","resultCode":425}]"#, Some("TGT_ALREADY_IN_MM")),
            (
                r#"{"sdsMMResults":[{"message":"SUCCESS"},{"message":"DEGRADED_OR_FAILED_DATA","resultCode":"1"}]}"#,
                Some("DEGRADED_OR_FAILED_DATA"),
            ),
        ] {
            assert_eq!(refused(body.as_bytes()).as_deref(), expected, "{body}");
        }
    }
}
