//! How does a cluster tell of itself?

use super::{Landscape, Member};

impl Landscape {
    /// The answer to `--query_cluster`.
    pub(super) fn shown(&self, number: usize) -> String {
        let Some(cluster) = self.clusters.get(number) else { return String::new() };
        let voters: Vec<&Member> = cluster.members.iter().filter(|member| member.votes).collect();
        let up = voters.iter().filter(|member| self.up(member)).count();
        let managers: Vec<&&Member> = voters.iter().filter(|member| member.is_manager).collect();
        let replicas = managers.iter().filter(|member| self.up(member)).count();
        let state = if up == voters.len() { "Normal" } else { "Degraded" };
        let name = cluster.name.as_ref().map(|name| format!("Name: {name}, ")).unwrap_or_default();
        let mode = voters.len();
        let mut text = format!(
            "Cluster:\n    {name}Mode: {mode}_node, State: {state}, Active: {up}/{mode}, Replicas: {replicas}/{}\n    Virtual IPs: {}\n",
            managers.len(),
            if cluster.virtual_ips.is_empty() { "N/A".to_owned() } else { cluster.virtual_ips.join(", ") },
        );
        let mut part = |heading: &str, members: Vec<&Member>, is_standby: bool| {
            if members.is_empty() {
                return;
            }
            text += &format!("{heading}:\n");
            for member in members {
                let role = match (is_standby, member.is_manager) {
                    (false, _) => "",
                    (true, true) => ", Manager",
                    (true, false) => ", Tie Breaker",
                };
                let management = if member.is_manager {
                    format!(", Management IPs: {}", member.managed_at().join(", "))
                } else {
                    String::new()
                };
                text += &format!("    Name: {}, ID: {:#018x}{role}\n", member.name, member.id);
                let interfaces = match &member.interfaces[..] {
                    [] => String::new(),
                    names => format!(", Virtual IP interfaces: {}", names.join(", ")),
                };
                text += &format!("        IPs: {}{management}, Port: 9011{interfaces}\n", member.ips.join(", "));
                let status = if self.up(member) { "Normal" } else { "Disconnected" };
                match member.id == cluster.master {
                    true => text += "        Version: 3.6.100\n",
                    false => text += &format!("        Status: {status}, Version: 3.6.100\n"),
                }
            }
        };
        let of = |wanted: &dyn Fn(&Member) -> bool| cluster.members.iter().filter(|member| wanted(member)).collect();
        part("Master MDM", of(&|member| member.id == cluster.master), false);
        part("Slave MDMs", of(&|member| member.votes && member.is_manager && member.id != cluster.master), false);
        part("Tie-Breakers", of(&|member| member.votes && !member.is_manager), false);
        part("Standby MDMs", of(&|member| !member.votes), true);
        text
    }
}
