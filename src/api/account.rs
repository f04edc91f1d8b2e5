//! The account's routes: usage, subscription, billing.

use serde::Deserialize;

use super::client::{Client, Parsed, TokenProvider};
use super::lenient::{or_none, text_or_lines};

/// `GET /v1/users/me/statistics`. Minutes and calls of the current period; percentages from 0 to beyond 100.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Usage {
    pub plan_type: Option<String>,
    pub subscription_status: Option<String>,
    pub minutes_allocated: Option<f64>,
    pub minutes_used: Option<f64>,
    pub minutes_remaining: Option<f64>,
    pub calls_allocated: Option<f64>,
    pub calls_used: Option<f64>,
    pub calls_remaining: Option<f64>,
    pub period_start: Option<String>,
    pub period_end: Option<String>,
    pub usage_percentage: Option<f64>,
}

/// `GET /v1/users/me/subscription`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Subscription {
    pub has_active_subscription: bool,
    #[serde(default, deserialize_with = "text_or_lines")]
    pub provider: Option<String>,
    #[serde(default, deserialize_with = "or_none")]
    pub plan: Option<Plan>,
    #[serde(default)]
    pub status: Option<String>,
    #[serde(default, deserialize_with = "text_or_lines")]
    pub expires_at: Option<String>,
    #[serde(default, deserialize_with = "or_none")]
    pub auto_renew: Option<bool>,
    #[serde(default, deserialize_with = "text_or_lines")]
    pub management_url: Option<String>,
}

/// A subscription's plan.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Plan {
    #[serde(rename = "type", deserialize_with = "text_or_lines")]
    pub kind: Option<String>,
    #[serde(deserialize_with = "text_or_lines")]
    pub period: Option<String>,
    #[serde(deserialize_with = "or_none")]
    pub minutes_included: Option<f64>,
}

/// `GET /v1/stripe/billing-portal`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BillingPortal {
    /// Where the portal is, for one visit.
    pub url: String,
}

impl<T: TokenProvider> Client<'_, T> {
    /// What of the plan is used.
    ///
    /// # Errors
    /// As [`Client::read`].
    pub async fn usage(&self) -> Result<Parsed<Usage>, T::Error> {
        self.read(&["v1", "users", "me", "statistics"], &[]).await
    }

    /// The plan and its renewal.
    ///
    /// # Errors
    /// As [`Client::read`].
    pub async fn subscription(&self) -> Result<Parsed<Subscription>, T::Error> {
        self.read(&["v1", "users", "me", "subscription"], &[]).await
    }

    /// The billing portal.
    ///
    /// # Errors
    /// As [`Client::read`].
    pub async fn billing_portal(&self) -> Result<Parsed<BillingPortal>, T::Error> {
        self.read(&["v1", "stripe", "billing-portal"], &[]).await
    }
}
