//! Paths and response formats for usage, subscription and billing.

use serde::Deserialize;

pub const USAGE: &str = "/v1/users/me/statistics";
pub const SUBSCRIPTION: &str = "/v1/users/me/subscription";
pub const BILLING_PORTAL: &str = "/v1/stripe/billing-portal";

/// The usage in the current billing period.
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

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Subscription {
    pub has_active_subscription: bool,
    pub provider: Option<String>,
    pub plan: Option<Plan>,
    pub status: Option<String>,
    pub expires_at: Option<String>,
    pub auto_renew: Option<bool>,
    pub management_url: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Plan {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub period: Option<String>,
    pub minutes_included: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BillingPortal {
    /// URL of one portal session. Anyone who has this URL can use the portal.
    pub url: String,
}
