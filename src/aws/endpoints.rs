//! Which registry hosts are Amazon ECR, and what their names tell.

use super::Partition;
use super::partition::is_region;

/// A registry host that is Amazon ECR.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EcrHost {
    /// The registry of one account in one region.
    Private(PrivateHost),
    /// ECR Public, `public.ecr.aws`, whose API is in `us-east-1`.
    Public,
}

/// The parts of a private registry's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateHost {
    /// The account's ID, 12 digits. A `PrivateLink` name tells none.
    pub account: Option<String>,
    /// The region.
    pub region: String,
    /// True if it is a FIPS 140 endpoint.
    pub fips: bool,
    /// True if it is reached over IPv4 and IPv6.
    pub dual_stack: bool,
}

/// The region of ECR Public's API.
pub const PUBLIC_REGION: &str = "us-east-1";

const PUBLIC_HOSTS: &[&str] = &["public.ecr.aws", "ecr-public.aws.com"];

impl EcrHost {
    /// Reads a registry's host, with its port if it has one. `None`: it is not ECR.
    pub fn parse(host: &str) -> Option<Self> {
        let host = host
            .strip_suffix(":443")
            .unwrap_or(host)
            .to_ascii_lowercase();
        if PUBLIC_HOSTS.contains(&host.as_str()) {
            return Some(Self::Public);
        }
        PrivateHost::parse(&host).map(Self::Private)
    }

    /// The region whose API answers for this registry.
    pub fn region(&self) -> &str {
        match self {
            Self::Private(host) => &host.region,
            Self::Public => PUBLIC_REGION,
        }
    }

    /// The account whose registry it is, where the name tells.
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Private(host) => host.account.as_deref(),
            Self::Public => None,
        }
    }

    /// The partition that it is in.
    pub fn partition(&self) -> &'static Partition {
        Partition::of_region(self.region())
    }
}

/// The ways in which hosts are named: `<first>.<service>.<region>.<suffix>`.
const FORMS: &[Form] = &[
    Form {
        service: "dkr.ecr",
        fips: false,
        suffix: Suffix::Usual,
    },
    Form {
        service: "dkr.ecr-fips",
        fips: true,
        suffix: Suffix::Usual,
    },
    Form {
        service: "dkr-ecr",
        fips: false,
        suffix: Suffix::DualStack,
    },
    Form {
        service: "dkr-ecr-fips",
        fips: true,
        suffix: Suffix::DualStack,
    },
    Form {
        service: "dkr.ecr",
        fips: false,
        suffix: Suffix::PrivateLink,
    },
    Form {
        service: "dkr.ecr-fips",
        fips: true,
        suffix: Suffix::PrivateLink,
    },
];

struct Form {
    service: &'static str,
    fips: bool,
    suffix: Suffix,
}

#[derive(Clone, Copy, PartialEq)]
enum Suffix {
    Usual,
    DualStack,
    PrivateLink,
}

impl PrivateHost {
    fn parse(host: &str) -> Option<Self> {
        let (first, rest) = host.split_once('.')?;
        FORMS.iter().find_map(|form| form.parse(first, rest))
    }
}

impl Form {
    fn parse(&self, first: &str, rest: &str) -> Option<PrivateHost> {
        let rest = rest.strip_prefix(self.service)?.strip_prefix('.')?;
        let (region, suffix) = rest.split_once('.')?;
        if !is_region(region) || !self.ends_in(suffix, Partition::of_region(region)) {
            return None;
        }
        let account = if self.suffix == Suffix::PrivateLink {
            first.starts_with("vpce-").then_some(None)?
        } else {
            is_account(first).then(|| Some(first.to_owned()))?
        };
        Some(PrivateHost {
            account,
            region: region.to_owned(),
            fips: self.fips,
            dual_stack: self.suffix == Suffix::DualStack,
        })
    }

    fn ends_in(&self, suffix: &str, partition: &Partition) -> bool {
        match self.suffix {
            Suffix::Usual => suffix == partition.dns_suffix,
            Suffix::DualStack => suffix == partition.dual_stack_suffix,
            Suffix::PrivateLink => suffix.strip_prefix("vpce.") == Some(partition.dns_suffix),
        }
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: &str = "123456789012";

    fn private(account: Option<&str>, region: &str, fips: bool, dual_stack: bool) -> EcrHost {
        EcrHost::Private(PrivateHost {
            account: account.map(str::to_owned),
            region: region.to_owned(),
            fips,
            dual_stack,
        })
    }

    #[test]
    fn reads_every_form_of_name() {
        let table = [
            (
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
                private(Some(A), "eu-west-1", false, false),
            ),
            (
                "123456789012.DKR.ECR.EU-WEST-1.amazonaws.com:443",
                private(Some(A), "eu-west-1", false, false),
            ),
            (
                "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com",
                private(Some(A), "us-east-1", true, false),
            ),
            (
                "123456789012.dkr-ecr.us-west-2.on.aws",
                private(Some(A), "us-west-2", false, true),
            ),
            (
                "123456789012.dkr-ecr-fips.us-gov-west-1.on.aws",
                private(Some(A), "us-gov-west-1", true, true),
            ),
            (
                "123456789012.dkr.ecr.us-gov-west-1.amazonaws.com",
                private(Some(A), "us-gov-west-1", false, false),
            ),
            (
                "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
                private(Some(A), "cn-north-1", false, false),
            ),
            (
                "123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn",
                private(Some(A), "cn-north-1", false, true),
            ),
            (
                "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu",
                private(Some(A), "eusc-de-east-1", false, false),
            ),
            (
                "123456789012.dkr-ecr.eusc-de-east-1.on.amazonwebservices.eu",
                private(Some(A), "eusc-de-east-1", false, true),
            ),
            (
                "123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov",
                private(Some(A), "us-iso-east-1", false, false),
            ),
            (
                "123456789012.dkr-ecr.us-iso-west-1.on.aws.ic.gov",
                private(Some(A), "us-iso-west-1", false, true),
            ),
            (
                "123456789012.dkr.ecr.us-isob-east-1.sc2s.sgov.gov",
                private(Some(A), "us-isob-east-1", false, false),
            ),
            (
                "123456789012.dkr-ecr.us-isob-east-1.on.aws.scloud",
                private(Some(A), "us-isob-east-1", false, true),
            ),
            (
                "123456789012.dkr.ecr.eu-isoe-west-1.cloud.adc-e.uk",
                private(Some(A), "eu-isoe-west-1", false, false),
            ),
            (
                "123456789012.dkr-ecr.eu-isoe-west-1.on.cloud-aws.adc-e.uk",
                private(Some(A), "eu-isoe-west-1", false, true),
            ),
            (
                "123456789012.dkr.ecr.us-isof-south-1.csp.hci.ic.gov",
                private(Some(A), "us-isof-south-1", false, false),
            ),
            (
                "123456789012.dkr-ecr.us-isof-south-1.on.aws.hci.ic.gov",
                private(Some(A), "us-isof-south-1", false, true),
            ),
            (
                "123456789012.dkr-ecr-fips.us-east-1.on.aws",
                private(Some(A), "us-east-1", true, true),
            ),
            ("public.ecr.aws", EcrHost::Public),
            ("ecr-public.aws.com", EcrHost::Public),
        ];
        for (host, expected) in table {
            assert_eq!(EcrHost::parse(host), Some(expected), "{host}");
        }
        let china = EcrHost::parse(table_china()).unwrap();
        assert_eq!(china.partition().id, "aws-cn");
        assert_eq!(china.account(), Some(A));
    }

    #[test]
    fn names_of_private_link_tell_no_account() {
        for (host, region, fips) in [
            (
                "vpce-0a1b-c2d3.dkr.ecr.eu-west-1.vpce.amazonaws.com",
                "eu-west-1",
                false,
            ),
            (
                "vpce-0a1b-c2d3-eu-west-1a.dkr.ecr.eu-west-1.vpce.amazonaws.com",
                "eu-west-1",
                false,
            ),
            (
                "vpce-0a1b-c2d3.dkr.ecr-fips.us-east-1.vpce.amazonaws.com",
                "us-east-1",
                true,
            ),
            (
                "vpce-0a1b-c2d3.dkr.ecr.cn-north-1.vpce.amazonaws.com.cn",
                "cn-north-1",
                false,
            ),
        ] {
            let expected = private(None, region, fips, false);
            assert_eq!(EcrHost::parse(host), Some(expected), "{host}");
        }
    }

    fn table_china() -> &'static str {
        "123456789012.dkr.ecr.cn-northwest-1.amazonaws.com.cn"
    }

    #[test]
    fn refuses_look_alikes() {
        for host in [
            "",
            "docker.io",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.cn",
            "123456789012.dkr.ecr.cn-north-1.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.evil.amazonaws.com",
            "123456789012.dkr.ecr.amazonaws.com",
            "123456789012.dkr.ecr..amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com:5000",
            "123456789012.dkr.ecr.eu-west-1.on.aws",
            "123456789012.dkr-ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr-ecr.eu-west-1.on.aws.scloud",
            "evil.123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            "12345678901.dkr.ecr.eu-west-1.amazonaws.com",
            "1234567890123.dkr.ecr.eu-west-1.amazonaws.com",
            "12345678901x.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr-fips-eu-west-1.amazonaws.com",
            "vpce-0a1b.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.vpce.amazonaws.com",
            "vpce-0a1b.dkr.ecr.eu-west-1.vpce.amazonaws.com.evil.com",
            "vpce-0a1b.dkr.ecr.cn-north-1.vpce.amazonaws.com",
            "123456789012.dkr-ecr.eu-west-1.on.aws.evil.com",
            "public.ecr.aws.evil.com",
            "evil-public.ecr.aws",
        ] {
            assert_eq!(EcrHost::parse(host), None, "{host}");
        }
    }

    proptest! {
        #[test]
        fn nothing_may_follow_or_precede(before in "[a-z0-9.-]{0,6}", after in "[a-z0-9.-]{0,6}") {
            let host = format!("{before}123456789012.dkr.ecr.eu-west-1.amazonaws.com{after}");
            let whole = before.is_empty() && after.is_empty();
            prop_assert_eq!(EcrHost::parse(&host).is_some(), whole);
        }
    }
}
