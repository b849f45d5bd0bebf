// infra/action/post.ts
import { readFileSync, rmSync } from "node:fs";

// src/client/token-error.ts
var TokenError = class extends Error {
  code;
  error;
  status;
  requestId;
  retryAfterMs;
  constructor(code, message, details = {}) {
    super(message, { cause: details.cause });
    this.name = "TokenError";
    this.code = code;
    this.error = details.error;
    this.status = details.status;
    this.requestId = details.requestId;
    this.retryAfterMs = details.retryAfterMs;
  }
};

// src/domain/json.ts
function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    return void 0;
  }
}
function parseJsonObject(text) {
  const value = parseJson(text);
  return isMembers(value) ? value : void 0;
}
function claimsOf(jwt) {
  const payload = /^[\w-]+\.([\w-]+)\.[\w-]+$/.exec(jwt)?.[1];
  if (payload === void 0) return void 0;
  try {
    const bytes = Uint8Array.from(
      atob(payload.replaceAll("-", "+").replaceAll("_", "/")),
      (one) => one.charCodeAt(0)
    );
    return parseJsonObject(new TextDecoder().decode(bytes));
  } catch {
    return void 0;
  }
}
function isMembers(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

// src/domain/url.ts
function isLoopback(hostname) {
  return hostname === "localhost" || hostname === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}

// src/agent/proofs.ts
var jwtBytesMax = 16384;
var platformTimeoutMs = 5e3;
function jwtFromPlatform(platform, env) {
  switch (platform) {
    case "cloud-run":
    case "gce":
      return (audience) => fromMetadataServer(audience, env);
    case "github":
      return (audience) => fromGitHub(audience, env);
    case "gitlab":
      return async (audience) => fromGitLab(audience, env);
  }
}
async function fromMetadataServer(audience, env) {
  const host = env["GCE_METADATA_HOST"] ?? "metadata.google.internal";
  const query = new URLSearchParams({ audience, format: "full" });
  const path = "/computeMetadata/v1/instance/service-accounts/default/identity";
  return askPlatform(`http://${host}${path}?${query.toString()}`, { "metadata-flavor": "Google" });
}
async function fromGitHub(audience, env) {
  const [address, bearer] = [env["ACTIONS_ID_TOKEN_REQUEST_URL"], env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]];
  if (address === void 0 || bearer === void 0)
    throw new TokenError(
      "configuration",
      "GitHub offers no ID token here: the job needs permissions: id-token: write"
    );
  const url = URL.parse(address);
  if (url === null || url.protocol !== "https:" && !isLoopback(url.hostname))
    throw new TokenError("configuration", "ACTIONS_ID_TOKEN_REQUEST_URL is no https URL");
  url.searchParams.set("audience", audience);
  const answer = parseJsonObject(await askPlatform(url.href, { authorization: `Bearer ${bearer}` }));
  const jwt = answer?.["value"];
  if (typeof jwt === "string") return jwt;
  throw new TokenError("proof", "GitHub answered without an ID token");
}
function fromGitLab(audience, env) {
  const jwt = env["DOWNSCOPE_ID_TOKEN"]?.trim() ?? "";
  if (jwt === "")
    throw new TokenError(
      "configuration",
      "DOWNSCOPE_ID_TOKEN is not set: the job needs it among its id_tokens"
    );
  const { aud } = claimsOf(jwt) ?? {};
  if (aud === audience || Array.isArray(aud) && aud.length === 1 && aud[0] === audience) return jwt;
  throw new TokenError("configuration", `DOWNSCOPE_ID_TOKEN is for another audience than ${audience}`);
}
async function askPlatform(url, headers) {
  const { origin } = new URL(url);
  try {
    const response = await fetch(url, {
      headers,
      redirect: "error",
      signal: AbortSignal.timeout(platformTimeoutMs)
    });
    const text = await response.text();
    if (response.status === 200 && text.length <= jwtBytesMax * 2) return text.trim();
    throw new TokenError("proof", `${origin} answers ${response.status} instead of an ID token`);
  } catch (error) {
    if (error instanceof TokenError) throw error;
    const cause = error instanceof Error ? error.cause : void 0;
    throw new TokenError("proof", `${origin} gives no ID token: ${codeOf(cause ?? error)}`);
  }
}
function codeOf(error) {
  const code = isMembers(error) ? error["code"] : void 0;
  return typeof code === "string" ? code : "it failed";
}

// src/client/broker-connection.ts
var timeoutMs = 1e4;
var answerCharactersMax = 65536;
function brokerBase(url) {
  const parsed = URL.parse(url);
  if (parsed === null || !["http:", "https:"].includes(parsed.protocol))
    throw new TokenError("configuration", `${url} is not the URL of a broker`);
  if (parsed.protocol === "http:" && !isLoopback(parsed.hostname))
    throw new TokenError("configuration", `${url} would send a JWT without TLS: https is needed`);
  if (parsed.search !== "" || parsed.hash !== "" || parsed.username !== "" || parsed.password !== "")
    throw new TokenError("configuration", "the URL of a broker has no query, fragment or user");
  return url.replace(/\/+$/, "");
}
async function confirmIssuer(base, runtime) {
  const { status, document } = await ask(`${base}/.well-known/oauth-authorization-server`, runtime);
  const issuer = document["issuer"];
  if (status !== 200 || typeof issuer !== "string") return false;
  if (issuer.replace(/\/+$/, "") === base) return true;
  throw new TokenError(
    "configuration",
    `the broker at ${base} calls itself ${printable(issuer)}, and no JWT is made out to a name that was not given: if it is right, give it as the issuer`
  );
}
async function ask(url, runtime, form) {
  try {
    const response = await runtime.fetch(url, {
      ...form !== void 0 && { method: "POST", body: new URLSearchParams(form) },
      headers: { accept: "application/json" },
      // Workers know no 'error'; a redirect is an answer that is no token.
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutMs)
    });
    const text = await response.text();
    const document = text.length > answerCharactersMax ? void 0 : parseJsonObject(text);
    return { status: response.status, document: document ?? {}, headers: response.headers };
  } catch (error) {
    throw new TokenError("unavailable", `no answer from ${new URL(url).origin}: ${causeOf(error)}`);
  }
}
function printable(text) {
  return text.slice(0, 400).replaceAll(/[^\x20-\x7E]/gu, "?");
}
function causeOf(error) {
  if (!(error instanceof Error)) return "it failed";
  if (error.name === "TimeoutError") return `nothing came within ${timeoutMs / 1e3} s`;
  const { cause } = error;
  const code = isMembers(cause) ? cause["code"] : void 0;
  if (typeof code === "string") return code;
  return cause instanceof Error ? printable(cause.message) : printable(error.message);
}
var platformRuntime = {
  fetch: (input, init) => fetch(input, init),
  now: () => Date.now(),
  steady: () => performance.now(),
  random: () => Math.random(),
  wait: (ms) => {
    let timer;
    const over = new Promise((resolve) => timer = setTimeout(resolve, ms));
    return { over, cancel: () => clearTimeout(timer) };
  },
  isolatesRequests: globalThis.navigator?.userAgent === "Cloudflare-Workers"
};

// infra/action/runner.ts
async function confirmedAudience(broker, issuer) {
  if (issuer !== "") return issuer;
  await confirmIssuer(broker, platformRuntime);
  return broker;
}
function mask(secret) {
  process.stdout.write(`::add-mask::${secret}
`);
}
async function runStep(step) {
  try {
    await step();
  } catch (error) {
    const message = error instanceof Error ? error.message : "it failed";
    process.stdout.write(`::error::downscope: ${message.replaceAll(/[\r\n]+/g, " ")}
`);
    process.exitCode = 1;
  }
}

// infra/action/post.ts
await runStep(async () => {
  const { STATE_token: tokenFile = "", STATE_file: file = "" } = process.env;
  if (file !== "") rmSync(file, { force: true });
  if (tokenFile === "") return;
  const token = readFileSync(tokenFile, "utf8");
  rmSync(tokenFile, { force: true });
  mask(token);
  await revoke(token);
});
async function revoke(token) {
  const broker = brokerBase(process.env["STATE_broker"] ?? "");
  const audience = await confirmedAudience(broker, process.env["STATE_issuer"] ?? "");
  const jwt = await jwtFromPlatform("github", process.env)(audience);
  mask(jwt);
  const body = new URLSearchParams({
    token,
    subject_token: jwt,
    subject_token_type: "urn:ietf:params:oauth:token-type:jwt"
  });
  const { status } = await fetch(`${broker}/v1/revoke`, {
    method: "POST",
    body,
    redirect: "error",
    signal: AbortSignal.timeout(1e4)
  });
  if (status === 200) process.stdout.write("downscope: the token is revoked\n");
  else process.stdout.write(`::warning::downscope: the token is not revoked, the broker answers ${status}
`);
}
