//! Which release the simulated system runs, and how that release names itself.

use std::fmt;
use std::str::FromStr;

/// A release the simulator can play. Later is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Release {
    /// ScaleIO 2.0.
    V2_0,
    /// VxFlex OS 2.6, whose API calls itself 2.5.
    V2_6,
    /// VxFlex OS 3.0.
    V3_0,
    /// PowerFlex 3.6.
    V3_6,
    /// PowerFlex 4.5, behind PowerFlex Manager.
    V4_5,
}

impl Release {
    /// Every release, oldest first.
    pub const ALL: [Self; 5] = [Self::V2_0, Self::V2_6, Self::V3_0, Self::V3_6, Self::V4_5];

    /// How people write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2_0 => "2.0",
            Self::V2_6 => "2.6",
            Self::V3_0 => "3.0",
            Self::V3_6 => "3.6",
            Self::V4_5 => "4.5",
        }
    }

    /// What `/api/version` answers; it lags the product on 2.6.
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::V2_6 => "2.5",
            Self::V2_0 | Self::V3_0 | Self::V3_6 | Self::V4_5 => self.as_str(),
        }
    }

    /// What components report as their version.
    pub const fn component(self) -> &'static str {
        match self {
            Self::V2_0 => "R2_0.13000.0",
            Self::V2_6 => "R2_6.11000.0",
            Self::V3_0 => "R3_0.200.0",
            Self::V3_6 => "R3_6.0.0",
            Self::V4_5 => "R4_5.4000.0",
        }
    }

    /// The system's own, longer name of its release.
    pub const fn system_version_name(self) -> &'static str {
        match self {
            Self::V2_0 => "EMC ScaleIO Version: R2_0.13000.211",
            Self::V2_6 => "DellEMC ScaleIO Version: R2_6.11000.113",
            Self::V3_0 => "DellEMC ScaleIO Version: R3_0.200.104",
            Self::V3_6 => "DellEMC PowerFlex Version: R3_6.0.105",
            Self::V4_5 => "DellEMC PowerFlex Version: R4_5.4000.111",
        }
    }

    /// The release before this one; the oldest has none here.
    pub const fn before(self) -> Option<Self> {
        match self {
            Self::V2_0 => None,
            Self::V2_6 => Some(Self::V2_0),
            Self::V3_0 => Some(Self::V2_6),
            Self::V3_6 => Some(Self::V3_0),
            Self::V4_5 => Some(Self::V3_6),
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no release the simulator plays.
#[derive(Debug, thiserror::Error)]
#[error("the simulator plays no release {0:?}; it knows 2.0, 2.6, 3.0, 3.6 and 4.5")]
pub struct UnknownRelease(String);

impl FromStr for Release {
    type Err = UnknownRelease;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|release| release.as_str() == text).ok_or_else(|| UnknownRelease(text.to_owned()))
    }
}
