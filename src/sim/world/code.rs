//! With which code does the MDM refuse, and how sure is its number?
//!
//! Symbols are the vendor's. Their order in a table of 3.0 is known; the
//! place in it is the number up to 205. Above, few numbers were ever seen, and
//! those near them are counted from there: clients must go by symbol or text.

/// How a number is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Seen on a real system, or within the part of the table that is proven.
    Proven,
    /// Just above the proven part.
    Near,
    /// Counted from the nearest number that was seen.
    Guess,
}

macro_rules! codes {
    ($($name:ident $symbol:ident $number:literal $proof:ident $message:literal)*) => {
        /// Why the MDM refuses.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs)]
        pub enum Code { $($name),* }

        impl Code {
            /// All that this system uses.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The vendor's symbol.
            pub const fn symbol(self) -> &'static str {
                match self { $(Self::$name => stringify!($symbol)),* }
            }

            /// The number that `errorCode` shows.
            pub const fn number(self) -> u32 {
                match self { $(Self::$name => $number),* }
            }

            /// How the number is known.
            pub const fn proof(self) -> Proof {
                match self { $(Self::$name => Proof::$proof),* }
            }

            /// What is said to people.
            pub const fn message(self) -> &'static str {
                match self { $(Self::$name => $message),* }
            }
        }
    };
}

codes! {
    NotFound NOT_FOUND 3 Proven "Not found"
    NoSpares NO_SPARES 61 Proven "The operation would leave less than the spare policy asks for"
    WrongParameters WRONG_CMD_PARAMS 62 Proven "The parameters of the command are wrong"
    InvalidPercentage INVALID_PERCENTAGE 63 Proven "The percentage is not valid"
    OutOfRange PARAMETER_OUT_OF_RANGE 64 Proven "A parameter is out of range"
    PasswordUsed PASSWORD_ALREADY_USED 66 Proven "The password was used already"
    NoResources NO_RESOURCES 67 Proven "There is not enough capacity for that"
    SdsHere TGT_ALREADY_ATTACH_TO_THIS_MDM 75 Proven "The SDS already belongs to this MDM"
    SdsNotFound TGT_NOT_FOUND 78 Proven "Could not find the SDS"
    VolumeNotFound VOL_NOT_FOUND 79 Proven "Could not find the volume"
    SdcNotFound INI_NOT_FOUND 80 Proven "Could not find the SDC"
    AlreadyMapped VOL_ALREADY_MAPPED_TO_THIS_INI 81 Proven "The volume is already mapped to this SDC"
    NotMapped VOL_NOT_MAPPED_TO_INI 84 Proven "The volume is not mapped to this SDC"
    AddressInUse TGT_ADDR_AND_PORT_IN_USE 93 Proven "The address and port of the SDS are in use"
    SdsNameInUse TGT_NAME_IN_USE 98 Proven "The name of the SDS is in use"
    VolumeNameInUse VOL_NAME_IN_USE 99 Proven "The name of the volume is in use; choose another"
    SdsNotRemoving TGT_NOT_UNDER_REMOVAL 102 Proven "The SDS is not being removed"
    SdsRemoving TGT_BEING_REMOVED 103 Proven "The SDS is being removed"
    Mapped VOL_MAPPED 104 Proven "The volume is mapped; unmap it first"
    VirtualIpExists VIRTUAL_IP_ALREADY_EXIST 116 Proven "The virtual IP address exists already"
    ClusterDegraded CMD_ERROR_CLUSTER_DEGRADED 124 Proven "The command is not allowed while the MDM cluster is degraded"
    DeviceNotFound TGT_DEVICE_NOT_FOUND 126 Proven "Could not find the device"
    CannotShrink VOL_DECREASE_NOT_SUPPORTED 133 Proven "The size of a volume can only grow"
    DeviceRemoving TGT_DEV_BEING_REMOVED 135 Proven "The device is being removed"
    DeviceNotRemoving DEV_NOT_UNDER_REMOVAL 137 Proven "The device is not being removed"
    DomainNameInUse FD_NAME_IN_USE 141 Proven "The name of the protection domain is in use"
    DomainNotFound FD_NOT_FOUND 142 Proven "Could not find the protection domain"
    DomainHasSds FD_HAS_TGTS 143 Proven "The protection domain has SDSs; remove them first"
    TooFewSds NOT_ENOUGH_TGTS_IN_STORAGE_POOL 144 Proven "The storage pool needs devices of at least three SDSs"
    DeviceActive TGT_DEV_ALREADY_ACTIVE 160 Proven "The device is active already"
    DeviceTestMode TGT_DEV_WRONG_TEST_MODE 161 Proven "The test mode of the device does not allow that"
    DeviceTesting TGT_DEV_TEST_IN_PROGRESS 163 Proven "A test of the device is running"
    PoolNotFound STORAGE_POOL_NOT_FOUND 171 Proven "Could not find the storage pool"
    PoolHasDevices STORAGE_POOL_HAS_DEVS 172 Proven "The storage pool has devices; remove them first"
    PoolNameInUse STORAGE_POOL_NAME_ALREADY_EXISTS 173 Proven "The name of the storage pool is in use"
    DomainHasPools FD_HAS_STORAGE_POOLS 176 Proven "The protection domain has storage pools; remove them first"
    SdcHasMappings INI_HAS_MAPPINGS 180 Proven "The SDC has mapped volumes; unmap them first"
    TooManySnapshots TOO_MANY_SNAPS_IN_VTREE 182 Proven "The V-Tree has as many snapshots as it may have"
    NoSuchSnapshotGroup VOL_NOT_FOUND_FOR_SNAP_GROUP 185 Proven "No volume belongs to that snapshot group"
    TooManyIps TOO_MANY_IPS 186 Proven "There are too many IP addresses"
    LastIp LAST_IP 187 Proven "The last IP address cannot be removed"
    VolumeTooLarge VOL_SIZE_TOO_LARGE 190 Proven "The volume would be larger than a volume may be"
    SdsIpNotFound TGT_IP_NOT_FOUND 193 Proven "The SDS has no such IP address"
    InvalidPort INVALID_PORT 194 Proven "The port is not valid"
    BadThreshold BAD_THRESHOLD_VALUE 195 Proven "The thresholds are not valid; the high one must be below the critical one"
    PoolHasVolumes STORAGE_POOL_HAS_VOLS 196 Proven "The storage pool has volumes; remove them first"
    OtherDomainsPool FD_AND_SP_MISMATCH 197 Proven "The storage pool belongs to another protection domain"
    RoleNeeded TGT_MUST_HAVE_TGT_IP_ROLE 199 Proven "The SDS must keep an IP address in that role"
    SdsIpExists TGT_IP_ALREADY_EXISTS 200 Proven "The IP address exists already"
    RoleAlreadySet ROLE_ALREADY_SET 201 Proven "The IP address has that role already"
    BadThrottling BAD_THROTTLING_VALUE 203 Proven "The limit is not valid"
    DeviceNameInUse DEV_NAME_ALREADY_EXISTS 206 Near "The name of the device is in use"
    DomainNotActive FD_NOT_ACTIVE 213 Near "The protection domain is not active"
    NotProtected FD_CAPACITY_NOT_PROTECTED 216 Near "Not all capacity is protected, or an SDS is in maintenance"
    DomainNotInactive FD_NOT_SHUTDOWN 217 Near "The protection domain is not inactive"
    DomainChanging FD_STATE_CHANGE_IN_PROGRESS 218 Near "The state of the protection domain is changing"
    SdsNotHealthy TGT_NOT_HEALTHY 219 Near "An SDS is not healthy"
    DeviceNotHealthy TGT_DEV_NOT_HEALTHY 220 Near "A device is not healthy"
    IllegalSize VOL_SIZE_ILLEGAL 225 Near "The size of the volume is not valid"
    LongName LONG_NAME 226 Near "The name is longer than 31 characters"
    InvalidName INVALID_NAME 227 Near "The name is not valid"
    PasswordTooShort PASSWORD_TOO_SHORT 233 Guess "The password is too short"
    UserNotFound USER_NOT_FOUND 234 Guess "Could not find the user"
    MustChangePassword PASSWORD_CHANGE_REQUIRED 249 Guess "The password must be changed first"
    UserExists USER_ALREADY_EXIST 250 Guess "The name of the user is in use"
    OldPasswordMismatch OLD_PASSWORD_MISMATCH 253 Guess "The old password is wrong"
    UserHimself USER_CAN_NOT_MODIFY_HIMSELF 254 Guess "Users cannot change themselves"
    PasswordTooPlain PASSWORD_LACKS_DIVERSITY 255 Guess "The password has too few kinds of characters"
    PoolHasDevicesAlready NOT_ALLOWED_IN_SP_WITH_DEVS 262 Guess "That is not allowed in a storage pool that has devices"
    FaultSetNotFound FAULT_SET_NOT_FOUND 265 Guess "Could not find the fault set"
    FaultSetNameInUse FAULT_SET_NAME_ALREADY_EXISTS 266 Guess "The name of the fault set is in use"
    FaultSetHasSds FAULT_SET_HAS_TGTS 268 Guess "The fault set has SDSs; remove them first"
    DomainHasFaultSets FD_HAS_FAULT_SETS 269 Guess "The protection domain has fault sets; remove them first"
    OtherDomainsFaultSet FD_AND_FS_MISMATCH 272 Guess "The fault set belongs to another protection domain"
    SdcMustBeAway INI_MUST_BE_DISCONNECTED 307 Guess "The SDC must be disconnected for that"
    OneMappingOnly NOT_ALLOWED_MORE_THAN_ONE_MAPPING 306 Proven "Only a single SDC may be mapped to this volume at a time"
    TooFewFaultSets NOT_ENOUGH_FSS_IN_STORAGE_POOL 296 Guess "The storage pool needs devices of at least three fault sets"
    TooMuchThin TOO_MUCH_THIN_CAPACITY 309 Guess "Thin volumes would promise more than the storage pool allows"
    NotSupported NOT_SUPPORTED 297 Guess "That is not supported"
    InvalidSpare INVALID_SPARE_PERCENTAGE 327 Guess "The spare percentage is not valid"
    RemotePermission REMOTE_PERMISSION_DENIED 352 Guess "Remote clients may only read"
    DeviceHasError DEV_IN_ERROR 365 Guess "The device has an error"
    UpgradeRunning UPGRADE_ALREADY_RUNNING 368 Guess "An upgrade is running already"
    WrongUpgradeState WRONG_UPGRADE_STATE 404 Guess "The upgrade is not in a state that allows that"
    NotAllSdsUpgraded NOT_ALL_TGTS_UPGRADED 405 Guess "Not all SDSs are upgraded"
    UpgradeNotFinished UPGRADE_NOT_FINISHED 406 Guess "The upgrade is not finished"
    ClusterNotUpgraded CLUSTER_NOT_UPGRADED 407 Guess "The MDM cluster is not upgraded"
    AlreadyInMaintenance TGT_ALREADY_IN_MM 425 Proven "The SDS is already in maintenance"
    NotInMaintenance TGT_NOT_IN_MM 426 Guess "The SDS is not in maintenance"
    MaintenanceConflict TGT_MM_CONFILICT 427 Guess "Another SDS that shares a storage pool and is not in the same fault set is in maintenance"
    DegradedData DEGRADED_OR_FAILED_DATA 428 Guess "A storage pool of the SDS has degraded or failed data"
    NoRoomForMaintenance TGT_MM_INSUFFICIENT_FREE_CAP 429 Guess "A storage pool of the SDS has not enough free capacity"
    MdmIpExists MDM_IP_ALREADY_EXISTS 435 Guess "The IP address of the MDM exists already"
    TooManyMdms TOO_MANY_MDMS 438 Guess "There are too many MDMs"
    MdmNotConnected MDM_NOT_CONNECTED 440 Guess "The MDM is not connected"
    MdmInCluster MDM_IN_CLUSTER 442 Guess "The MDM is in the cluster"
    MdmNotFound MDM_DOES_NOT_EXIST 443 Guess "The MDM does not exist"
    MdmNameInUse MDM_NAME_ALREADY_EXISTS 445 Guess "The name of the MDM is in use"
    SameClusterMode ALREADY_IN_THIS_CLUSTER_MODE 446 Guess "The cluster is in this mode already"
    TooManyReplaced TOO_MANY_REPLACED_MDMS 447 Guess "Too many MDMs would be replaced at once"
    WrongNumberOfMdms WRONG_NUMBER_OF_MDMS 448 Guess "The number of MDMs does not fit the cluster mode"
    WrongMdmRole WRONG_MDM_ROLE 449 Guess "The MDM has the wrong role"
    MdmNotInCluster MDM_NOT_IN_CLUSTER 450 Guess "The MDM is not in the cluster"
    MdmAlreadyInCluster MDM_ALREADY_IN_CLUSTER 451 Guess "The MDM is in the cluster already"
    MdmIsTieBreaker MDM_IS_TB 452 Guess "The MDM is a tie-breaker"
    AlreadyMaster ALREADY_MASTER 453 Guess "The MDM is the master already"
    CannotRemoveMaster CANNOT_REMOVE_MASTER 454 Guess "The master cannot be removed"
    SdcNameInUse INI_NAME_IN_USE 467 Guess "The name of the SDC is in use"
    IrrelevantAdd IRRELEVANT_ADD_MDM_PARAMS 511 Guess "MDMs to add do not fit this change"
    IrrelevantRemove IRRELEVANT_REMOVE_MDM_PARAMS 512 Guess "MDMs to remove do not fit this change"
    ExitInProgress TGT_EXIT_MAINTENANCE_IN_PROGRESS 515 Guess "The SDS is leaving maintenance"
    ExitMaintenance TGT_EXIT_MM 516 Guess "The SDS cannot leave maintenance now"
    DomainInMaintenance TGT_MM_PD_FAIL 520 Guess "An SDS of the protection domain is in maintenance"
    SdsInMaintenance TGT_MM_SDS_FAIL 521 Guess "The SDS is in maintenance"
    UpgradeNotStarted UPGRADE_WAS_NOT_STARTED 526 Guess "No upgrade was started"
    LeavingFailed MEMBERSHIP_CHANGE_LEAVING_FAILED_NODE 527 Guess "A failed MDM would leave the cluster"
    AddingFailed MEMBERSHIP_CHANGE_ADDING_FAILED_NODE 528 Guess "A failed MDM would join the cluster"
    PeerMismatch PEER_ID_MISMATCH 417 Guess "The peer is not that system"
    SdcApproved SDC_ALREADY_APPROVED 635 Guess "The SDC is approved already"
    DevicePathInUse DEV_PATH_ALREADY_EXISTS 637 Guess "The path of the device is in use"
    ClusterBlocked CLUSTER_COMMANDS_BLOCKED_DURING_UPGRADE 638 Guess "Commands to the cluster are blocked during an upgrade"
    TooFewHealthySds NOT_ENOUGH_HEALTHY_TGTS_FOR_MM 661 Guess "At least two more healthy SDSs are needed"
    RebuildDisabled MM_FAILED_REBUILD_DISABLED_ON_SP 664 Guess "Rebuild is disabled on a storage pool of the SDS"
    MdmBusy MDM_BUSY 671 Guess "The MDM is busy"
    UserRemovesHimself USER_CAN_NOT_DELETE_HIMSELF 690 Guess "Users cannot remove themselves"
    SuccessorOutOfSync SUCCESSOR_OOS 688 Guess "The MDM that would become master is out of sync"
    DomainHasAccelerationPools FD_HAS_ACC_POOLS 705 Guess "The protection domain has acceleration pools; remove them first"
    AccelerationPoolNotFound ACC_POOL_NOT_FOUND 706 Guess "Could not find the acceleration pool"
    AccelerationPoolNameInUse ACC_POOL_NAME_ALREADY_EXISTS 713 Guess "The name of the acceleration pool is in use"
    MigrationRunning VTREE_MIGRATION_ALREADY_EXISTS 717 Proven "The V-Tree is migrating already"
    SamePool VTREE_MIGRATE_SAME_SP 718 Proven "The V-Tree is in that storage pool already"
    MigrationNotFound VTREE_MIGRATION_NOT_FOUND 754 Guess "The V-Tree is not migrating"
    CannotResumeDegraded CANNOT_RESUME_WITH_DEGRADED_CAPACITY 805 Guess "The migration cannot go on while capacity is degraded"
    MigrationNotPaused VTREE_MIGRATION_NOT_PAUSED 838 Guess "The migration is not paused"
    PostProcessing UPGRADE_POST_PROCESSING_IN_PROGRESS 866 Guess "The upgrade is being finished"
    PolicyNameInUse SNAP_POLICY_NAME_ALREADY_EXISTS 877 Guess "The name of the snapshot policy is in use"
    PolicyNotFound SNAP_POLICY_NOT_FOUND 881 Guess "Could not find the snapshot policy"
    VolumeInPolicy SOURCE_VOL_ALREADY_IN_SNAP_POLICY 882 Guess "The volume is in a snapshot policy already"
    PolicyHasVolumes SNAP_POLICY_HAS_SOURCE_VOLUMES 885 Guess "The snapshot policy has volumes; take them out first"
    VolumeNotInPolicy SOURCE_VOL_NOT_IN_SNAP_POLICY 886 Guess "The volume is not in the snapshot policy"
    NotAutoSnapshot VOL_NOT_AUTO_SNAP 888 Guess "The volume is no snapshot of a policy"
    PolicySource VOL_IS_SNAP_POLICY_SOURCE_VOL 897 Guess "The volume is the source of a snapshot policy"
    PolicyCadence SNAP_POLICY_CADENCE_OUT_OF_RANGE 899 Guess "The cadence of the snapshot policy is out of range"
    ErrorStays DEVICE_ERROR_CANNOT_BE_CLEARED 994 Guess "The error of the device cannot be cleared"
    WouldBeCritical STORAGE_POOL_WOULD_BECOME_CRITICAL 990 Guess "The storage pool would become critical"
    CannotResumeMaintenance CANNOT_RESUME_IN_MAINT_MODE 992 Guess "The migration cannot go on while an SDS is in maintenance"
    SdsDownSomewhere AT_LEAST_ONE_TGT_DOWN 1003 Guess "At least one SDS is down"
    SdsDown TGT_IS_DOWN 1006 Guess "The SDS is down"
    DeviceWell DEV_IS_NOT_IN_ERROR 1013 Guess "The device has no error"
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_code_has_a_symbol_and_a_number_of_its_own() {
        let numbers: BTreeSet<u32> = Code::ALL.iter().map(|code| code.number()).collect();
        let symbols: BTreeSet<&str> = Code::ALL.iter().map(|code| code.symbol()).collect();
        assert_eq!((numbers.len(), symbols.len()), (Code::ALL.len(), Code::ALL.len()));
        assert!(Code::ALL.iter().filter(|code| code.number() <= 205).all(|code| code.proof() == Proof::Proven));
    }
}
