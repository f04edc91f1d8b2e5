//! Account routes: usage, subscription and billing.

use serde::Deserialize;
use url::Url;

use super::lenient::{Lenient, Text};
use crate::domain::ApiBase;

/// The response to `GET /v1/users/me/statistics`, for the current billing period.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Usage {
    pub plan_type: Option<String>,
    pub subscription_status: Option<String>,
    pub minutes_allocated: Option<f64>,
    pub minutes_used: Option<f64>,
    pub minutes_remaining: Option<f64>,
    pub calls_allocated: Option<f64>,
    pub calls_used: Option<f64>,
    pub calls_remaining: Option<f64>,
    pub period_end: Option<String>,
}

/// The response to `GET /v1/users/me/subscription`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Subscription {
    pub has_active_subscription: bool,
    pub provider: Text,
    pub plan: Lenient<Plan>,
    pub status: Option<String>,
    pub expires_at: Text,
    pub auto_renew: Lenient<Option<bool>>,
    pub management_url: Text,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Plan {
    #[serde(rename = "type")]
    pub kind: Text,
    pub period: Text,
    pub minutes_included: Lenient<Option<f64>>,
}

/// The response to `GET /v1/stripe/billing-portal`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BillingPortal {
    /// URL for one visit. Anyone who has it can open the billing portal.
    pub url: String,
}

pub fn usage_url(base: &ApiBase) -> Url {
    base.route(&["v1", "users", "me", "statistics"])
}

pub fn subscription_url(base: &ApiBase) -> Url {
    base.route(&["v1", "users", "me", "subscription"])
}

pub fn billing_portal_url(base: &ApiBase) -> Url {
    base.route(&["v1", "stripe", "billing-portal"])
}
