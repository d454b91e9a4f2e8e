//! AWS's partitions: groups of regions with accounts, ARNs and DNS names of their own.

/// A partition of AWS.
///
/// The table follows the `partitions.json` that every AWS SDK carries.
#[derive(Debug, PartialEq, Eq)]
pub struct Partition {
    /// As it stands in ARNs, such as `aws-cn`.
    pub id: &'static str,
    /// The place where most endpoints' names end, such as `amazonaws.com.cn`.
    pub dns_suffix: &'static str,
    /// The place where the names of dual-stack registries end, such as `on.aws`.
    pub dual_stack_suffix: &'static str,
    /// What the names of its VPC endpoints begin with, such as `cn.com.amazonaws`. Some services'
    /// begin with `com.amazonaws` everywhere.
    pub vpc_endpoint_prefix: &'static str,
    /// The region whose endpoints answer for the whole partition.
    pub home_region: &'static str,
    /// What the names of its regions start with. Empty: any that no other partition has.
    prefix: &'static str,
}

const AWS: Partition = Partition {
    id: "aws",
    dns_suffix: "amazonaws.com",
    dual_stack_suffix: "on.aws",
    vpc_endpoint_prefix: "com.amazonaws",
    home_region: "us-east-1",
    prefix: "",
};

const OTHERS: &[Partition] = &[
    Partition {
        id: "aws-cn",
        dns_suffix: "amazonaws.com.cn",
        dual_stack_suffix: "on.amazonwebservices.com.cn",
        vpc_endpoint_prefix: "cn.com.amazonaws",
        home_region: "cn-northwest-1",
        prefix: "cn-",
    },
    Partition {
        id: "aws-us-gov",
        dns_suffix: "amazonaws.com",
        dual_stack_suffix: "on.aws",
        vpc_endpoint_prefix: "com.amazonaws",
        home_region: "us-gov-west-1",
        prefix: "us-gov-",
    },
    Partition {
        id: "aws-eusc",
        dns_suffix: "amazonaws.eu",
        dual_stack_suffix: "on.amazonwebservices.eu",
        vpc_endpoint_prefix: "eu.amazonaws",
        home_region: "eusc-de-east-1",
        prefix: "eusc-",
    },
    Partition {
        id: "aws-iso",
        dns_suffix: "c2s.ic.gov",
        dual_stack_suffix: "on.aws.ic.gov",
        vpc_endpoint_prefix: "gov.ic.c2s",
        home_region: "us-iso-east-1",
        prefix: "us-iso-",
    },
    Partition {
        id: "aws-iso-b",
        dns_suffix: "sc2s.sgov.gov",
        dual_stack_suffix: "on.aws.scloud",
        vpc_endpoint_prefix: "gov.sgov.sc2s",
        home_region: "us-isob-east-1",
        prefix: "us-isob-",
    },
    Partition {
        id: "aws-iso-e",
        dns_suffix: "cloud.adc-e.uk",
        dual_stack_suffix: "on.cloud-aws.adc-e.uk",
        vpc_endpoint_prefix: "uk.adc-e.cloud",
        home_region: "eu-isoe-west-1",
        prefix: "eu-isoe-",
    },
    Partition {
        id: "aws-iso-f",
        dns_suffix: "csp.hci.ic.gov",
        dual_stack_suffix: "on.aws.hci.ic.gov",
        vpc_endpoint_prefix: "gov.ic.hci.csp",
        home_region: "us-isof-south-1",
        prefix: "us-isof-",
    },
];

impl Partition {
    /// The partition that has `region`. A region that is not known is taken for one of `aws`, as
    /// new ones appear there.
    pub fn of_region(region: &str) -> &'static Self {
        OTHERS
            .iter()
            .find(|partition| region.starts_with(partition.prefix))
            .unwrap_or(&AWS)
    }

    /// The place where the names of dual-stack APIs end, such as `api.aws`.
    pub(super) fn dual_stack_api_suffix(&self) -> String {
        self.dual_stack_suffix.replacen("on.", "api.", 1)
    }

    /// The partition that ARNs call `id`.
    pub fn of_id(id: &str) -> Option<&'static Self> {
        std::iter::once(&AWS)
            .chain(OTHERS)
            .find(|partition| partition.id == id)
    }
}

/// Returns true if `text` is written as regions are: `eu-west-1`, `us-isob-east-1`.
pub(super) fn is_region(text: &str) -> bool {
    let mut parts = text.split('-').rev();
    let number = parts.next().unwrap_or_default();
    let words: Vec<_> = parts.collect();
    let word = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    !number.is_empty()
        && number.bytes().all(|b| b.is_ascii_digit())
        && (2..=3).contains(&words.len())
        && words.iter().all(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_have_their_partition() {
        for (region, id) in [
            ("eu-west-1", "aws"),
            ("mx-central-1", "aws"),
            ("xy-future-1", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-east-1", "aws-us-gov"),
            ("eusc-de-east-1", "aws-eusc"),
            ("us-iso-west-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
            ("eu-isoe-west-1", "aws-iso-e"),
            ("us-isof-east-1", "aws-iso-f"),
        ] {
            let partition = Partition::of_region(region);
            assert_eq!(partition.id, id, "{region}");
            assert_eq!(Partition::of_id(id), Some(partition));
            assert!(is_region(region), "{region}");
            assert!(is_region(partition.home_region));
        }
        assert_eq!(Partition::of_id("aws-mars"), None);
    }

    #[test]
    fn other_texts_are_no_regions() {
        for text in [
            "",
            "1",
            "eu",
            "eu-1",
            "eu-west",
            "eu--1",
            "EU-west-1",
            "eu-west-1.evil",
            "a-b-c-d-1",
        ] {
            assert!(!is_region(text), "{text}");
        }
    }
}
