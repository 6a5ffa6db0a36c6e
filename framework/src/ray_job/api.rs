//! The part of Ray's Jobs API that runs a program.

use std::time::Duration;

use mobula_protocol::{Error, Result};
use ureq::{Agent, Body, RequestBuilder, http::Response, typestate::WithoutBody};

use crate::{
    cluster_address::HeadAddress,
    json::{Object, quoted},
};

/// Ray's variable for the token that a cluster with authentication needs.
const TOKEN: &str = "RAY_AUTH_TOKEN";

/// The time limit of connecting. `ANSWER` is the limit of a request, `UPLOAD` of an upload.
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(60);
const UPLOAD: Duration = Duration::from_secs(600);

/// The most bytes of an answer that are read. The largest answers have the output of a job.
const MOST: u64 = 1 << 30;

/// The most characters of an error page that are shown.
const SHOWN: usize = 400;

/// The dashboard of a cluster's head.
pub(super) struct Head {
    agent: Agent,
    url: String,
    token: Option<String>,
}

/// A job to submit.
#[derive(Debug)]
pub(super) struct Submission {
    /// The command, for a shell.
    pub(super) entrypoint: String,
    /// The URI of the package that has the program.
    pub(super) working_dir: String,
    pub(super) env: Vec<(String, String)>,
    /// The name that the dashboard shows.
    pub(super) name: String,
}

impl Submission {
    fn json(&self) -> String {
        let text = |text: &String| quoted(text.as_ref());
        let env = self.env.iter();
        let env: Vec<_> = env
            .map(|(name, value)| format!("{}:{}", text(name), text(value)))
            .collect();
        format!(
            r#"{{"entrypoint":{},"runtime_env":{{"working_dir":{},"env_vars":{{{}}}}},"metadata":{{"name":{}}}}}"#,
            text(&self.entrypoint),
            text(&self.working_dir),
            env.join(","),
            text(&self.name),
        )
    }
}

/// The state of a job.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) status: String,
    pub(super) message: Option<String>,
    pub(super) driver_exit_code: Option<i32>,
}

impl Head {
    pub(super) fn new(address: &HeadAddress) -> Head {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_global(Some(ANSWER))
            .build()
            .new_agent();
        Head {
            agent,
            url: address.url().to_owned(),
            token: std::env::var(TOKEN).ok(),
        }
    }

    /// Returns the version of Ray on the head.
    pub(super) fn version(&self) -> Result<String> {
        let path = "/api/version";
        self.field(path, &self.ask(path)?, "ray_version")
    }

    /// Returns whether the cluster has a package. Ray keeps a package for some time after its last
    /// job.
    pub(super) fn has_package(&self, name: &str) -> Result<bool> {
        let path = format!("/api/packages/gcs/{name}");
        let response = self.sent(&path, self.get(&path).call())?;
        match response.status().as_u16() {
            404 => Ok(false),
            _ => self.checked(&path, response).map(|_| true),
        }
    }

    pub(super) fn upload(&self, name: &str, zip: &[u8]) -> Result<()> {
        let path = format!("/api/packages/gcs/{name}");
        let request = self.authorized(self.agent.put(self.url(&path)));
        let request = request.config().timeout_global(Some(UPLOAD)).build();
        let response = self.sent(&path, request.send(zip))?;
        self.checked(&path, response).map(drop)
    }

    /// Starts a job, and returns its id.
    pub(super) fn submit(&self, submission: &Submission) -> Result<String> {
        let path = "/api/jobs/";
        let request = self.authorized(self.agent.post(self.url(path)));
        let request = request.header("Content-Type", "application/json");
        let response = self.sent(path, request.send(submission.json()))?;
        let submitted = self.read(path, self.checked(path, response)?)?;
        self.field(path, &submitted, "submission_id")
    }

    pub(super) fn job(&self, id: &str) -> Result<Job> {
        let path = format!("/api/jobs/{id}");
        let job = self.ask(&path)?;
        Ok(Job {
            status: self.field(&path, &job, "status")?,
            message: job.text("message").map(str::to_owned),
            driver_exit_code: job
                .number("driver_exit_code")
                .and_then(|code| code.try_into().ok()),
        })
    }

    /// Returns all output of the job until now.
    pub(super) fn logs(&self, id: &str) -> Result<String> {
        let path = format!("/api/jobs/{id}/logs");
        self.field(&path, &self.ask(&path)?, "logs")
    }

    pub(super) fn stop(&self, id: &str) -> Result<()> {
        let path = format!("/api/jobs/{id}/stop");
        let request = self.authorized(self.agent.post(self.url(&path)));
        let response = self.sent(&path, request.send_empty())?;
        self.checked(&path, response).map(drop)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn get(&self, path: &str) -> RequestBuilder<WithoutBody> {
        self.authorized(self.agent.get(self.url(path)))
    }

    fn authorized<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    fn ask(&self, path: &str) -> Result<Object> {
        let response = self.sent(path, self.get(path).call())?;
        self.read(path, self.checked(path, response)?)
    }

    fn sent(
        &self,
        path: &str,
        sent: std::result::Result<Response<Body>, ureq::Error>,
    ) -> Result<Response<Body>> {
        sent.map_err(|error| {
            Error::setup(format!(
                "the head of the Ray cluster does not answer at {}: {error}; it is the address of the cluster's \
                 dashboard, with port 8265 unless it was started otherwise",
                self.url(path)
            ))
        })
    }

    /// Returns the response if its status is a success.
    ///
    /// # Errors
    /// The head has refused the request.
    fn checked(&self, path: &str, mut response: Response<Body>) -> Result<Response<Body>> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let page = response.body_mut().read_to_string().unwrap_or_default();
        // A traceback ends with its reason, so the last characters are shown.
        let reason = page.trim().chars().rev().take(SHOWN).collect::<Vec<_>>();
        let reason = reason.into_iter().rev().collect::<String>();
        let help = match status.as_u16() {
            401 | 403 => format!("; the cluster wants a token, which ${TOKEN} gives"),
            404 | 405 => {
                "; is it a dashboard of Ray with jobs (`pip install \"ray[default]\"` on the head)?"
                    .to_owned()
            }
            _ => String::new(),
        };
        Err(Error::setup(format!(
            "the head of the Ray cluster has refused {}: {status}: {reason}{help}",
            self.url(path)
        )))
    }

    fn read(&self, path: &str, mut response: Response<Body>) -> Result<Object> {
        let body = response.body_mut().with_config().limit(MOST);
        let text = body.lossy_utf8(true).read_to_string();
        let text = text.map_err(|error| self.strange(path, &error.to_string()))?;
        Object::read(&text).ok_or_else(|| self.strange(path, "the answer is no JSON object"))
    }

    fn field(&self, path: &str, object: &Object, name: &str) -> Result<String> {
        let field = object.text(name).map(str::to_owned);
        field.ok_or_else(|| self.strange(path, &format!("there is no `{name}`")))
    }

    fn strange(&self, path: &str, why: &str) -> Error {
        Error::setup(format!(
            "{} answers as no head of a Ray cluster does: {why}",
            self.url(path)
        ))
    }
}
