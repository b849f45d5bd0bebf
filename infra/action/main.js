// infra/action/main.ts
import { randomUUID as randomUUID2 } from "node:crypto";
import { appendFileSync as appendFileSync2, writeFileSync } from "node:fs";
import { join } from "node:path";

// src/client/token-error.ts
var TokenError = class extends Error {
  code;
  error;
  status;
  requestId;
  retryAfterMs;
  constructor(code, message2, details = {}) {
    super(message2, { cause: details.cause });
    this.name = "TokenError";
    this.code = code;
    this.error = details.error;
    this.status = details.status;
    this.requestId = details.requestId;
    this.retryAfterMs = details.retryAfterMs;
  }
};
function isTokenError(error) {
  return error instanceof TokenError;
}
function asTokenError(error, otherwise) {
  if (isTokenError(error)) return error;
  return new TokenError(otherwise, error instanceof Error ? error.message : "it failed", { cause: error });
}

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

// node_modules/jose/dist/webapi/lib/buffer_utils.js
var encoder = new TextEncoder();
var decoder = new TextDecoder();
var strictDecoder = new TextDecoder("utf-8", { fatal: true });
var UINT32_RANGE = 2 ** 32;
function concat(...buffers) {
  const size = buffers.reduce((acc, { length }) => acc + length, 0), buf = new Uint8Array(size);
  let i = 0;
  for (const buffer of buffers)
    buf.set(buffer, i), i += buffer.length;
  return buf;
}
var NON_ASCII = /[^\x00-\x7f]/;
function encode(string) {
  if (typeof string == "string" && string.length >= 128) {
    if (NON_ASCII.test(string))
      throw new TypeError("non-ASCII string encountered in encode()");
    return encoder.encode(string);
  }
  const bytes = new Uint8Array(string.length);
  for (let i = 0; i < string.length; i++) {
    const code = string.charCodeAt(i);
    if (code > 127)
      throw new TypeError("non-ASCII string encountered in encode()");
    bytes[i] = code;
  }
  return bytes;
}
function encodeBase64(input2, url = false) {
  if (Uint8Array.prototype.toBase64)
    return input2.toBase64({ alphabet: url ? "base64url" : "base64", omitPadding: url });
  const CHUNK_SIZE = 32768, arr = [];
  for (let i = 0; i < input2.length; i += CHUNK_SIZE)
    arr.push(String.fromCharCode.apply(null, input2.subarray(i, i + CHUNK_SIZE)));
  const encoded = btoa(arr.join(""));
  return url ? encoded.replace(/=/g, "").replace(/\+/g, "-").replace(/\//g, "_") : encoded;
}
function decodeBase64(encoded, url = false) {
  if (Uint8Array.fromBase64)
    return Uint8Array.fromBase64(encoded, { alphabet: url ? "base64url" : "base64" });
  if (url) {
    if (encoded.includes("+") || encoded.includes("/"))
      throw new TypeError("Invalid base64url");
    encoded = encoded.replace(/-/g, "+").replace(/_/g, "/");
  }
  const binary = atob(encoded), bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++)
    bytes[i] = binary.charCodeAt(i);
  return bytes;
}

// node_modules/jose/dist/webapi/util/errors.js
var JOSEError = class extends Error {
  static code = "ERR_JOSE_GENERIC";
  code = "ERR_JOSE_GENERIC";
  constructor(message2, options) {
    super(message2, options), this.name = this.constructor.name, Error.captureStackTrace?.(this, this.constructor);
  }
};
var JOSENotSupported = class extends JOSEError {
  static code = "ERR_JOSE_NOT_SUPPORTED";
  code = "ERR_JOSE_NOT_SUPPORTED";
};
var JWSInvalid = class extends JOSEError {
  static code = "ERR_JWS_INVALID";
  code = "ERR_JWS_INVALID";
};
var JWTInvalid = class extends JOSEError {
  static code = "ERR_JWT_INVALID";
  code = "ERR_JWT_INVALID";
};

// node_modules/jose/dist/webapi/util/base64url.js
var invalid = "The input to be decoded is not correctly encoded.";
function decode(input2) {
  try {
    return decodeBase64(typeof input2 == "string" ? input2 : decoder.decode(input2), true);
  } catch (cause) {
    throw new TypeError(invalid, { cause });
  }
}
function encode2(input2) {
  return encodeBase64(typeof input2 == "string" ? encoder.encode(input2) : input2, true);
}

// node_modules/jose/dist/webapi/lib/validate.js
function isObject(input2) {
  if (typeof input2 != "object" || input2 === null || Object.prototype.toString.call(input2) !== "[object Object]")
    return false;
  const prototype = Object.getPrototypeOf(input2);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
function isDisjoint(...headers) {
  const parameters = /* @__PURE__ */ new Set();
  for (const header of headers)
    if (header)
      for (const parameter of Object.keys(header)) {
        if (parameters.has(parameter))
          return false;
        parameters.add(parameter);
      }
  return true;
}
function assertNotSet(value, name) {
  if (value !== void 0)
    throw new TypeError(`${name} can only be called once`);
}
var JWS_RECOGNIZED = { __proto__: null, b64: true };
function validateCritDuplicates(Err, protectedHeader) {
  const { crit } = protectedHeader ?? {};
  if (Array.isArray(crit) && new Set(crit).size !== crit.length)
    throw new Err('"crit" (Critical) Header Parameter MUST NOT contain duplicate values');
}
function validateCrit(Err, recognizedDefault, recognizedOption, protectedHeader, joseHeader) {
  if (joseHeader.crit !== void 0 && protectedHeader?.crit === void 0)
    throw new Err('"crit" (Critical) Header Parameter MUST be integrity protected');
  if (!protectedHeader || protectedHeader.crit === void 0)
    return [];
  if (!Array.isArray(protectedHeader.crit) || protectedHeader.crit.length === 0 || protectedHeader.crit.some((input2) => typeof input2 != "string" || input2.length === 0))
    throw new Err('"crit" (Critical) Header Parameter MUST be an array of non-empty strings when present');
  const recognized = recognizedOption === void 0 ? recognizedDefault : { __proto__: null, ...recognizedOption, ...recognizedDefault };
  for (const parameter of protectedHeader.crit) {
    if (!(parameter in recognized))
      throw new JOSENotSupported(`Extension Header Parameter "${parameter}" is not recognized`);
    if (!Object.hasOwn(joseHeader, parameter) || joseHeader[parameter] === void 0)
      throw new Err(`Extension Header Parameter "${parameter}" is missing`);
    if (recognized[parameter] && (!Object.hasOwn(protectedHeader, parameter) || protectedHeader[parameter] === void 0))
      throw new Err(`Extension Header Parameter "${parameter}" MUST be integrity protected`);
  }
  return protectedHeader.crit;
}
function validateB64(protectedHeader, extensions) {
  if (extensions.includes("b64")) {
    const b64 = protectedHeader.b64;
    if (typeof b64 != "boolean")
      throw new JWSInvalid('The "b64" (base64url-encode payload) Header Parameter must be a boolean');
    return b64;
  }
  return true;
}
function serializeJoseHeader(Err, header) {
  let serialized, parsed;
  try {
    serialized = JSON.stringify(header), parsed = JSON.parse(serialized);
  } catch (cause) {
    throw new Err("JOSE Header is not valid JSON", { cause });
  }
  if (!isObject(parsed))
    throw new Err("JOSE Header is not a JSON object");
  return [parsed, serialized];
}

// node_modules/jose/dist/webapi/lib/key.js
var tag = (key) => key[Symbol.toStringTag];
var jwkMatchesOp = (entry, key, usage) => {
  const { alg } = entry;
  if (key.use !== void 0) {
    const expected = usage === "sign" || usage === "verify" ? "sig" : "enc";
    if (key.use !== expected)
      throw new TypeError(`Invalid key for this operation, its "use" must be "${expected}" when present`);
  }
  if (key.alg !== void 0 && key.alg !== alg)
    throw new TypeError(`Invalid key for this operation, its "alg" must be "${alg}" when present`);
  if (Array.isArray(key.key_ops)) {
    const expectedKeyOp = usage === "encrypt" || usage === "decrypt" ? entry.ops?.[usage === "encrypt" ? 0 : 1] : usage;
    if (expectedKeyOp && !key.key_ops.includes(expectedKeyOp))
      throw new TypeError(`Invalid key for this operation, its "key_ops" must include "${expectedKeyOp}" when present`);
  }
};
async function prepareKey(entry, key, usage) {
  const { alg, secret } = entry, requiresPrivateKey = usage === "decrypt" || usage === "sign";
  if (secret && key instanceof Uint8Array)
    return key;
  let normalized, keyObject;
  if (isObject(key)) {
    if (normalized = normalizeJwk(key), typeof normalized.kty != "string")
      throw invalidKeyType(alg, key, secret);
    if (!(secret ? normalized.kty === "oct" && typeof normalized.k == "string" : normalized.kty !== "oct" && (requiresPrivateKey ? normalized.kty === "AKP" && typeof normalized.priv == "string" || typeof normalized.d == "string" : normalized.d === void 0 && normalized.priv === void 0)))
      throw new TypeError(secret ? 'JSON Web Key for symmetric algorithms must have JWK "kty" (Key Type) equal to "oct" and the JWK "k" (Key Value) present' : `JSON Web Key for this operation must be a ${requiresPrivateKey ? "private" : "public"} JWK`);
    if (jwkMatchesOp(entry, normalized, usage), normalized.kty === "oct")
      return decode(normalized.k);
    if (!Object.isFrozen(key)) {
      const { key_ops } = key;
      Array.isArray(key_ops) && Object.freeze(key_ops), Object.freeze(key);
    }
  } else {
    if (!isKeyLike(key))
      throw invalidKeyType(alg, key, secret);
    const expectedType = secret ? "secret" : requiresPrivateKey ? "private" : "public";
    if (key.type !== expectedType && (secret || ["secret", "public", "private"].includes(key.type)))
      throw new TypeError(`${tag(key)} instances must be of type "${expectedType}" for the ${alg} algorithm`);
    if (isCryptoKey(key))
      return key;
    if (keyObject = key, keyObject.type === "secret")
      return keyObject.export();
  }
  cache ||= /* @__PURE__ */ new WeakMap();
  const cacheKey = key;
  let cached = cache.get(cacheKey);
  if (cached?.[alg])
    return cached[alg];
  if (cached || cache.set(cacheKey, cached = {}), keyObject && typeof keyObject.toCryptoKey == "function") {
    const isPublic = keyObject.type === "public", crv = nist[keyObject.asymmetricKeyDetails?.namedCurve], params = entry.resolve?.({ crv, asymmetricKeyType: keyObject.asymmetricKeyType }) ?? entry.subtle;
    return cached[alg] = keyObject.toCryptoKey(params, isPublic, entry.usages[isPublic ? 0 : 1]);
  }
  return normalized ??= keyObject.export({ format: "jwk" }), normalized.alg = alg, cached[alg] = await jwkToKey(entry, normalized);
}
var cache;
var nist = {
  __proto__: null,
  prime256v1: "P-256",
  secp384r1: "P-384",
  secp521r1: "P-521"
};
var isCryptoKey = (key) => {
  if (key?.[Symbol.toStringTag] === "CryptoKey")
    return true;
  try {
    return key instanceof CryptoKey;
  } catch {
    return false;
  }
};
var isKeyObject = (key) => key?.[Symbol.toStringTag] === "KeyObject";
var isKeyLike = (key) => isCryptoKey(key) || isKeyObject(key);
function message(msg, actual, ...types) {
  if (types.length > 2) {
    const last = types.pop();
    msg += `one of type ${types.join(", ")}, or ${last}.`;
  } else types.length === 2 ? msg += `one of type ${types[0]} or ${types[1]}.` : msg += `of type ${types[0]}.`;
  return actual == null ? msg += ` Received ${actual}` : typeof actual == "function" && actual.name ? msg += ` Received function ${actual.name}` : typeof actual == "object" && actual != null && actual.constructor?.name && (msg += ` Received an instance of ${actual.constructor.name}`), msg;
}
function invalidKeyType(alg, actual, secret) {
  const types = ["CryptoKey", "KeyObject", "JSON Web Key"];
  return secret && types.push("Uint8Array"), new TypeError(message(`Key for the ${alg} algorithm must be `, actual, ...types));
}
var unusable = (name, prop = "algorithm.name") => new TypeError(`CryptoKey does not support this operation, its ${prop} must be ${name}`);
function checkUsage(key, usage) {
  if (usage && !key.usages.includes(usage))
    throw new TypeError(`CryptoKey does not support this operation, its usages must include ${usage}.`);
}
function checkModulusLength(alg, key) {
  const { modulusLength } = key.algorithm;
  if (typeof modulusLength != "number" || modulusLength < 2048)
    throw new TypeError(`${alg} requires key modulusLength to be 2048 bits or larger`);
}
function checkCryptoKey(key, expected, usage) {
  const algorithm = key.algorithm;
  if (algorithm.name !== expected.name)
    throw unusable(expected.name);
  if (expected.hash && algorithm.hash?.name !== expected.hash)
    throw unusable(expected.hash, "algorithm.hash");
  if (expected.namedCurve && algorithm.namedCurve !== expected.namedCurve)
    throw unusable(expected.namedCurve, "algorithm.namedCurve");
  if (expected.length !== void 0 && algorithm.length !== expected.length)
    throw unusable(expected.length, "algorithm.length");
  checkUsage(key, usage);
}
function snapshotJwk(jwk) {
  return { __proto__: null, ...jwk };
}
function normalizeJwk(jwk) {
  const normalized = snapshotJwk(jwk);
  if (normalized.ext !== void 0 && typeof normalized.ext != "boolean")
    throw new TypeError('"ext" (Extractable) Parameter must be a boolean');
  if (normalized.key_ops !== void 0) {
    const value = normalized.key_ops, keyOps = Array.isArray(value) ? [...value] : void 0;
    if (!keyOps || keyOps.some((operation) => typeof operation != "string") || new Set(keyOps).size !== keyOps.length)
      throw new TypeError('"key_ops" (Key Operations) Parameter must be an array of unique strings');
    normalized.key_ops = keyOps;
  }
  return normalized;
}
function validateExtractableOption(extractable) {
  if (extractable !== void 0 && typeof extractable != "boolean")
    throw new TypeError('"extractable" option must be a boolean');
  return extractable;
}
async function jwkToKey(entry, jwk, extractable) {
  if (!entry.kty.includes(jwk.kty))
    throw new JOSENotSupported('Invalid or unsupported JWK "alg" (Algorithm) Parameter value');
  const algorithm = entry.resolve?.({ kty: jwk.kty, crv: jwk.crv }) ?? entry.subtle, isPrivate = !!(jwk.d || jwk.priv), keyData = { ...jwk, ext: extractable ?? jwk.ext };
  return keyData.kty !== "AKP" && delete keyData.alg, delete keyData.use, crypto.subtle.importKey("jwk", keyData, algorithm, keyData.ext ?? !isPrivate, jwk.key_ops ?? entry.usages[isPrivate ? 1 : 0]);
}
async function rawKey(key, expected, usage, extractable = false) {
  return key instanceof Uint8Array && (key = await crypto.subtle.importKey("raw", key, expected, extractable, [usage])), checkCryptoKey(key, expected, usage), key;
}

// node_modules/jose/dist/webapi/lib/key_descriptor.js
function table(entries) {
  const out = { __proto__: null };
  for (const alg in entries)
    out[alg] = { ...entries[alg], alg };
  return out;
}

// node_modules/jose/dist/webapi/lib/jwe_algorithms.js
var wrap = [
  ["encrypt", "wrapKey"],
  ["decrypt", "unwrapKey"]
];
var derive = [[], ["deriveBits"]];
var none = [[], []];
function rsaes(bits) {
  return {
    kty: ["RSA"],
    mode: "key-encryption",
    subtle: { name: "RSA-OAEP", hash: `SHA-${bits}` },
    usages: wrap,
    ops: ["wrapKey", "unwrapKey"]
  };
}
function ecdh(mode) {
  return {
    kty: ["EC", "OKP"],
    mode,
    subtle: { name: "ECDH" },
    resolve: ({ kty, crv, asymmetricKeyType }) => {
      if (crv === "X25519" || asymmetricKeyType === "x25519")
        return { name: "X25519" };
      if (kty === "OKP")
        throw new JOSENotSupported('Invalid or unsupported JWK "alg" (Algorithm) Parameter value');
      return { name: "ECDH", namedCurve: crv };
    },
    usages: derive,
    ops: [void 0, "deriveBits"]
  };
}
function aeskw(bits, gcm = false) {
  return {
    kty: ["oct"],
    mode: "key-wrapping",
    secret: true,
    subtle: { name: gcm ? "AES-GCM" : "AES-KW", length: bits },
    usages: none,
    ops: gcm ? ["encrypt", "decrypt"] : ["wrapKey", "unwrapKey"]
  };
}
function pbes2() {
  return {
    kty: ["oct"],
    mode: "key-wrapping",
    secret: true,
    subtle: { name: "PBKDF2" },
    usages: none,
    ops: ["deriveBits", "deriveBits"]
  };
}
var JWE = table({
  dir: {
    kty: ["oct"],
    mode: "direct-encryption",
    secret: true,
    subtle: { name: "AES-GCM" },
    usages: none,
    ops: ["encrypt", "decrypt"]
  },
  "RSA-OAEP": rsaes(1),
  "RSA-OAEP-256": rsaes(256),
  "RSA-OAEP-384": rsaes(384),
  "RSA-OAEP-512": rsaes(512),
  "ECDH-ES": ecdh("direct-key-agreement"),
  "ECDH-ES+A128KW": ecdh("key-agreement-with-key-wrapping"),
  "ECDH-ES+A192KW": ecdh("key-agreement-with-key-wrapping"),
  "ECDH-ES+A256KW": ecdh("key-agreement-with-key-wrapping"),
  A128KW: aeskw(128),
  A192KW: aeskw(192),
  A256KW: aeskw(256),
  A128GCMKW: aeskw(128, true),
  A192GCMKW: aeskw(192, true),
  A256GCMKW: aeskw(256, true),
  "PBES2-HS256+A128KW": pbes2(),
  "PBES2-HS384+A192KW": pbes2(),
  "PBES2-HS512+A256KW": pbes2()
});
var contentOps = ["encrypt", "decrypt"];
function contentEncryption(bits, cbc = false) {
  return {
    kty: ["oct"],
    secret: true,
    subtle: { name: cbc ? "AES-CBC" : "AES-GCM", length: bits },
    usages: none,
    ops: contentOps,
    cekBits: bits,
    ivBits: cbc ? 128 : 96,
    cbc
  };
}
var ENC = table({
  A128GCM: contentEncryption(128),
  A192GCM: contentEncryption(192),
  A256GCM: contentEncryption(256),
  "A128CBC-HS256": contentEncryption(256, true),
  "A192CBC-HS384": contentEncryption(384, true),
  "A256CBC-HS512": contentEncryption(512, true)
});

// node_modules/jose/dist/webapi/lib/jws_algorithms.js
var sig = [["verify"], ["sign"]];
function hmac(bits) {
  const subtle = { name: "HMAC", hash: `SHA-${bits}` };
  return { kty: ["oct"], secret: true, subtle, signing: subtle, usages: sig };
}
function rsa(bits, saltLength) {
  const subtle = { name: saltLength ? "RSA-PSS" : "RSASSA-PKCS1-v1_5", hash: `SHA-${bits}` };
  return {
    kty: ["RSA"],
    subtle,
    signing: saltLength ? { ...subtle, saltLength } : subtle,
    usages: sig,
    minRsaBits: 2048
  };
}
function ecdsa(crv, bits) {
  return {
    kty: ["EC"],
    crv,
    subtle: { name: "ECDSA", namedCurve: crv },
    signing: { name: "ECDSA", hash: `SHA-${bits}` },
    usages: sig
  };
}
function eddsa() {
  const subtle = { name: "Ed25519" };
  return {
    kty: ["OKP"],
    crv: "Ed25519",
    subtle,
    signing: subtle,
    usages: sig
  };
}
function mldsa(parameterSet) {
  const subtle = { name: `ML-DSA-${parameterSet}` };
  return {
    kty: ["AKP"],
    subtle,
    signing: subtle,
    usages: sig
  };
}
var JWS = table({
  HS256: hmac(256),
  HS384: hmac(384),
  HS512: hmac(512),
  RS256: rsa(256),
  RS384: rsa(384),
  RS512: rsa(512),
  PS256: rsa(256, 32),
  PS384: rsa(384, 48),
  PS512: rsa(512, 64),
  ES256: ecdsa("P-256", 256),
  ES384: ecdsa("P-384", 384),
  ES512: ecdsa("P-521", 512),
  EdDSA: eddsa(),
  Ed25519: eddsa(),
  "ML-DSA-44": mldsa(44),
  "ML-DSA-65": mldsa(65),
  "ML-DSA-87": mldsa(87)
});
function jwsAlgorithm(alg) {
  const entry = typeof alg == "string" ? JWS[alg] : void 0;
  if (!entry)
    throw new JOSENotSupported(`alg ${alg} is not supported either by JOSE or your javascript runtime`);
  return entry;
}

// node_modules/jose/dist/webapi/lib/jwt_claims_set.js
var epoch = (date) => Math.floor(date.getTime() / 1e3);
var multipliers = {
  s: 1,
  m: 60,
  h: 3600,
  d: 86400,
  w: 604800,
  y: 31557600
};
var REGEX = /^(\+|\-)? ?(\d+|\d+\.\d+) ?(seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|w|years?|yrs?|y)(?: (ago|from now))?$/i;
function invalidDuration() {
  throw new TypeError("Invalid time period format");
}
function secs(str) {
  typeof str != "string" && invalidDuration();
  const matched = REGEX.exec(str);
  (!matched || matched[4] && matched[1]) && invalidDuration();
  const value = parseFloat(matched[2]), durationSeconds = Math.round(value * multipliers[matched[3][0].toLowerCase()]);
  return Number.isFinite(durationSeconds) || invalidDuration(), matched[1] === "-" || matched[4] === "ago" ? -durationSeconds : durationSeconds;
}
function validateInput(label, input2) {
  if (!Number.isFinite(input2))
    throw new TypeError(`Invalid ${label} input`);
  return input2;
}
function validateStringClaim(claim, value) {
  if (typeof value != "string")
    throw new TypeError(`"${claim}" claim must be a string`);
}
function validateAudienceClaim(value) {
  if (typeof value != "string" && (!Array.isArray(value) || Array.from(value).some((member) => typeof member != "string")))
    throw new TypeError('"aud" claim must be a string or an array of strings');
}
function numericDate(value, label) {
  return typeof value == "number" ? validateInput(label, value) : value instanceof Date ? validateInput(label, epoch(value)) : epoch(/* @__PURE__ */ new Date()) + secs(value);
}
var producerClaimsSets;
function producerClaimsSet(producer) {
  return producerClaimsSets.get(producer);
}
function jwtClaimsSetBytes(producer) {
  const claimsSet = producerClaimsSet(producer);
  for (const claim of ["iat", "nbf", "exp"]) {
    const value = claimsSet[claim];
    if (typeof value == "number" && !Number.isFinite(value))
      throw new TypeError(`"${claim}" claim must be a finite number`);
  }
  return encoder.encode(JSON.stringify(claimsSet));
}
var JWTClaimsBuilder = class {
  constructor(claimsSet = {}) {
    if (!isObject(claimsSet))
      throw new TypeError("JWT Claims Set MUST be an object");
    (producerClaimsSets ||= /* @__PURE__ */ new WeakMap()).set(this, structuredClone(claimsSet));
  }
  setIssuer(value) {
    return validateStringClaim("iss", value), producerClaimsSet(this).iss = value, this;
  }
  setSubject(value) {
    return validateStringClaim("sub", value), producerClaimsSet(this).sub = value, this;
  }
  setAudience(value) {
    return validateAudienceClaim(value), producerClaimsSet(this).aud = value, this;
  }
  setJti(value) {
    return validateStringClaim("jti", value), producerClaimsSet(this).jti = value, this;
  }
  setNotBefore(value) {
    return producerClaimsSet(this).nbf = numericDate(value, "setNotBefore"), this;
  }
  setExpirationTime(value) {
    return producerClaimsSet(this).exp = numericDate(value, "setExpirationTime"), this;
  }
  setIssuedAt(value) {
    const claimsSet = producerClaimsSet(this);
    return value === void 0 ? claimsSet.iat = epoch(/* @__PURE__ */ new Date()) : typeof value == "string" ? claimsSet.iat = validateInput("setIssuedAt", epoch(/* @__PURE__ */ new Date()) + secs(value)) : claimsSet.iat = numericDate(value, "setIssuedAt"), this;
  }
};

// node_modules/jose/dist/webapi/lib/jws_sign.js
async function createSignature(input2, key, rejectUnencoded) {
  let [payload, protectedHeader, unprotectedHeader, crit] = input2, encodedProtectedHeader = "";
  if (protectedHeader !== void 0) {
    const normalized = serializeJoseHeader(JWSInvalid, protectedHeader);
    protectedHeader = normalized[0], encodedProtectedHeader = encode2(normalized[1]);
  }
  if (unprotectedHeader !== void 0 && (unprotectedHeader = serializeJoseHeader(JWSInvalid, unprotectedHeader)[0]), !protectedHeader && !unprotectedHeader)
    throw new JWSInvalid("either setProtectedHeader or setUnprotectedHeader must be called before #sign()");
  if (!isDisjoint(protectedHeader, unprotectedHeader))
    throw new JWSInvalid("JWS Protected and JWS Unprotected Header Parameter names must be disjoint");
  const joseHeader = { ...protectedHeader, ...unprotectedHeader };
  validateCritDuplicates(JWSInvalid, protectedHeader);
  const b64 = validateB64(protectedHeader, validateCrit(JWSInvalid, JWS_RECOGNIZED, crit, protectedHeader, joseHeader));
  b64 || rejectUnencoded?.();
  const { alg } = joseHeader;
  if (typeof alg != "string" || !alg)
    throw new JWSInvalid('JWS "alg" (Algorithm) Header Parameter missing or invalid');
  const entry = jwsAlgorithm(alg);
  let encodedPayload = "", signingPayload = payload, signingInput;
  if (b64) {
    const encodedPayloadCache = input2[4];
    encodedPayloadCache ? (encodedPayload = encodedPayloadCache[0] ??= encode2(payload), signingPayload = encodedPayloadCache[1] ??= encode(encodedPayload)) : (encodedPayload = encode2(payload), signingInput = encoder.encode(`${encodedProtectedHeader}.${encodedPayload}`));
  }
  signingInput ??= concat(encode(encodedProtectedHeader), encode("."), signingPayload);
  const signingKey = await rawKey(await prepareKey(entry, key, "sign"), entry.subtle, "sign");
  entry.minRsaBits && checkModulusLength(entry.alg, signingKey);
  const jws = {
    signature: encode2(new Uint8Array(await crypto.subtle.sign(entry.signing, signingKey, signingInput))),
    payload: encodedPayload
  };
  return protectedHeader && (jws.protected = encodedProtectedHeader), unprotectedHeader && (jws.header = unprotectedHeader), [jws, b64];
}
async function createCompactSignature(payload, protectedHeader, crit, key, rejectUnencoded) {
  const [jws] = await createSignature([payload, protectedHeader, void 0, crit], key, rejectUnencoded);
  return `${jws.protected}.${jws.payload}.${jws.signature}`;
}

// node_modules/jose/dist/webapi/jwt/sign.js
var SignJWT_base = JWTClaimsBuilder;
var SignJWT = class extends SignJWT_base {
  #protectedHeader;
  setProtectedHeader(protectedHeader) {
    return assertNotSet(this.#protectedHeader, "setProtectedHeader"), this.#protectedHeader = protectedHeader, this;
  }
  async sign(key, options) {
    return createCompactSignature(jwtClaimsSetBytes(this), this.#protectedHeader, options?.crit, key, () => {
      throw new JWTInvalid("JWTs MUST NOT use unencoded payload");
    });
  }
};

// node_modules/jose/dist/webapi/lib/key_algorithm.js
function unsupportedAlg(source = 'JWK "alg" (Algorithm) Parameter') {
  throw new JOSENotSupported(`Invalid or unsupported ${source} value`);
}
function keyAlgorithm(alg, source) {
  return (typeof alg == "string" ? JWS[alg] ?? JWE[alg] : void 0) ?? unsupportedAlg(source);
}

// node_modules/jose/dist/webapi/key/import.js
async function importJWK(jwk, alg, options) {
  if (!isObject(jwk))
    throw new TypeError("JWK must be an object");
  const normalized = normalizeJwk(jwk), extractable = validateExtractableOption(options?.extractable), { alg: jwkAlg } = normalized;
  if (alg ??= jwkAlg, normalized.kty !== "oct" && !alg)
    throw new TypeError('"alg" argument is required when "jwk.alg" is not present');
  switch (normalized.kty) {
    case "oct":
      if (typeof normalized.k != "string")
        throw new TypeError('missing "k" (Key Value) Parameter value');
      return decode(normalized.k);
    case "AKP": {
      if (typeof jwkAlg != "string" || !jwkAlg)
        throw new TypeError('missing "alg" (Algorithm) Parameter value');
      if (alg !== jwkAlg)
        throw new TypeError("JWK alg and alg option value mismatch");
      return jwkToKey(keyAlgorithm(alg), normalized, extractable);
    }
    case "RSA":
    case "EC":
    case "OKP":
      return jwkToKey(keyAlgorithm(alg), normalized, extractable);
    default:
      throw new JOSENotSupported('Unsupported "kty" (Key Type) Parameter value');
  }
}

// src/domain/omit-undefined.ts
function omitUndefined(members) {
  const defined = {};
  for (const name in members) if (members[name] !== void 0) defined[name] = members[name];
  return defined;
}

// src/client/broker-connection.ts
var timeoutMs = 1e4;
var answerCharactersMax = 65536;
var typePrefix = "urn:ietf:params:oauth:token-type:";
function connectToBroker({ url, issuer }, proof, runtime) {
  const base = brokerBase(url);
  const audience = issuer ?? base;
  let isIssuerKnown = issuer !== void 0;
  let lastSent;
  let lastAccepted;
  const exchange = async (form) => {
    if (!isIssuerKnown) isIssuerKnown = await confirmIssuer(base, runtime);
    const jwt = await proveCaller(proof, audience, runtime);
    lastSent = jwt;
    const answer = await ask(`${base}/v1/token`, runtime, {
      grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
      subject_token_type: `${typePrefix}jwt`,
      subject_token: jwt,
      ...form
    });
    const token = readToken(answer);
    lastAccepted = jwt;
    return token;
  };
  return {
    exchange,
    isActive: async (token) => {
      const { status, document } = await ask(`${base}/v1/introspect`, runtime, { token });
      const active = status === 200 ? document["active"] : void 0;
      return typeof active === "boolean" ? active : void 0;
    },
    repeatedItsProof: () => lastSent !== void 0 && lastSent === lastAccepted
  };
}
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
async function proveCaller(proof, audience, runtime) {
  let jwt;
  try {
    jwt = (await proof(audience)).trim();
  } catch (error) {
    throw asTokenError(error, "proof");
  }
  const claims = claimsOf(jwt);
  if (claims === void 0) throw new TokenError("proof", "the proof is no JWT: is it written only half?");
  const { exp } = claims;
  if (typeof exp === "number" && exp * 1e3 <= runtime.now())
    throw new TokenError(
      "proof",
      `the JWT expired ${Math.ceil(runtime.now() / 1e3 - exp)} s ago: whoever renews it did not`
    );
  return jwt;
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
function readToken(answer) {
  const { status, document } = answer;
  if (status !== 200) throw refusalOf(answer);
  const { access_token: text, issued_token_type: type, expires_in: expiresIn, scope } = document;
  if (typeof text !== "string" || text === "" || typeof expiresIn !== "number" || !(expiresIn > 0))
    throw new TokenError("unavailable", "the answer of the broker holds no token", { status });
  return {
    text,
    type: type === `${typePrefix}id_token` ? "id_token" : "access_token",
    expiresIn,
    scopes: typeof scope === "string" ? scope.split(" ").filter((one) => one !== "") : []
  };
}
function refusalOf({ status, document, headers }) {
  const { error, error_description: description } = document;
  const isDecision = [400, 401, 403].includes(status) && typeof error === "string";
  const words = [error, description].filter((text) => typeof text === "string").map(printable);
  const message2 = words.length === 0 ? `the broker answers ${status}` : words.join(": ");
  const wait = Number(headers.get("retry-after") ?? "");
  return new TokenError(isDecision ? "refused" : "unavailable", message2, {
    status,
    error: typeof error === "string" ? printable(error) : void 0,
    requestId: headers.get("x-request-id") ?? void 0,
    retryAfterMs: wait > 0 ? wait * 1e3 : void 0
  });
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
function signedWithOwnKey({ key, caller, alg }) {
  const jwk = isJwk(key) ? key : void 0;
  const issuer = caller ?? textMember(jwk, "iss");
  const algorithm = alg ?? jwk?.alg ?? algorithmOf(jwk);
  if (issuer === void 0) throw new TokenError("configuration", "proof.caller says whose key it is");
  if (algorithm === void 0) throw new TokenError("configuration", "proof.alg is needed with this key");
  const subject = caller ?? textMember(jwk, "sub") ?? issuer;
  let imported;
  return async (audience) => {
    imported ??= jwk === void 0 ? Promise.resolve(key) : importJWK(jwk, algorithm);
    const header = { alg: algorithm, ...omitUndefined({ kid: jwk?.kid }) };
    return signProof(await imported, header, { issuer, subject, audience });
  };
}
function signProof(key, header, { issuer, subject, audience }) {
  return new SignJWT().setProtectedHeader(header).setIssuer(issuer).setSubject(subject).setAudience(audience).setIssuedAt().setExpirationTime("60 seconds").setJti(crypto.randomUUID()).sign(key);
}
function isJwk(key) {
  return "kty" in key;
}
function algorithmOf(jwk) {
  switch (jwk?.crv) {
    case "P-256":
      return "ES256";
    case "P-384":
      return "ES384";
    case "P-521":
      return "ES512";
    case "Ed25519":
      return "EdDSA";
    default:
      return jwk?.kty === "RSA" ? "RS256" : void 0;
  }
}
function textMember(jwk, name) {
  const members = { ...jwk };
  const value = members[name];
  return typeof value === "string" ? value : void 0;
}
var platformRuntime = {
  fetch: (input2, init) => fetch(input2, init),
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

// src/client/held-token.ts
var refusedForMs = 5e3;
var firstBackOffMs = 100;
var longestBackOffMs = 5e3;
var sameAgainMs = 15e3;
var recheckWaitMs = 1e3;
function createHeldToken(deps) {
  const { runtime, fetchToken, isOver: isOver2, recheckMs, onFailure } = deps;
  let kept;
  let flight;
  let failures = 0;
  let lastFailure;
  let nextTryAtMs = -Infinity;
  let nextRefreshAtMs = -Infinity;
  const leftMs = (one) => Math.min(one.expiresAtMs - runtime.now(), one.steadyEndMs - runtime.steady());
  const usable = () => kept !== void 0 && leftMs(kept) > 1e3 ? kept : void 0;
  const keep = (token) => {
    const lifeMs = token.expiresIn * 1e3;
    const isSame = kept?.token.text === token.text;
    const steady = runtime.steady();
    kept = {
      token,
      expiresAtMs: runtime.now() + lifeMs,
      steadyEndMs: steady + lifeMs,
      dueLeftMs: isSame && kept !== void 0 ? kept.dueLeftMs : Math.min(42e4 + 18e4 * runtime.random(), lifeMs * (0.4 + 0.1 * runtime.random())),
      confirmedAtMs: steady
    };
    failures = 0;
    lastFailure = void 0;
    nextTryAtMs = -Infinity;
    nextRefreshAtMs = isSame ? steady + sameAgainMs : -Infinity;
  };
  const fail = async (failure) => {
    const over = usable();
    if (over !== void 0) {
      if (await isOver2(over.token, failure)) kept = void 0;
      else over.confirmedAtMs = runtime.steady();
    }
    failures += 1;
    lastFailure = failure;
    nextTryAtMs = runtime.steady() + pauseAfter(failure, failures, runtime.random());
    onFailure(failure);
  };
  const attempt = async () => {
    try {
      keep(await fetchToken());
    } catch (error) {
      await fail(asTokenError(error, "unavailable"));
    }
  };
  const refresh = () => {
    if (runtime.isolatesRequests) return attempt();
    flight ??= attempt().finally(() => flight = void 0);
    return flight;
  };
  const within = async (work, ms) => {
    const { over, cancel } = runtime.wait(Math.max(0, ms));
    await Promise.race([work, over]);
    cancel();
  };
  return {
    peek: usable,
    get: async (waitMs) => {
      const startedMs = runtime.steady();
      for (; ; ) {
        const now = runtime.steady();
        const left = startedMs + waitMs - now;
        const held = usable();
        if (held !== void 0) {
          const mayAsk = now >= nextTryAtMs;
          if (mayAsk && now - held.confirmedAtMs >= recheckMs) {
            held.confirmedAtMs = now;
            await within(refresh(), Math.min(left, recheckWaitMs));
          } else if (mayAsk && now >= nextRefreshAtMs && leftMs(held) < held.dueLeftMs) {
            if (runtime.isolatesRequests) await within(refresh(), Math.min(left, recheckWaitMs));
            else void refresh();
          }
          const after = usable();
          if (after !== void 0) return after;
          continue;
        }
        if (now < nextTryAtMs) {
          const pause = nextTryAtMs - now;
          if (lastFailure !== void 0 && (!passesByItself(lastFailure) || pause >= left)) throw lastFailure;
          await runtime.wait(Math.min(pause, Math.max(0, left))).over;
        } else {
          await within(refresh(), left);
        }
        if (usable() === void 0 && runtime.steady() - startedMs >= waitMs)
          throw lastFailure ?? new TokenError("unavailable", `no answer within ${Math.round(waitMs)} ms`);
      }
    }
  };
}
function passesByItself({ code }) {
  return code === "unavailable" || code === "proof";
}
function pauseAfter(failure, failures, random) {
  if (!passesByItself(failure)) return refusedForMs;
  const backOff = Math.min(longestBackOffMs, firstBackOffMs * 2 ** Math.min(failures, 10)) * (0.5 + random / 2);
  return Math.max(backOff, Math.min(failure.retryAfterMs ?? 0, 6e4));
}

// src/client/token-source.ts
var kindsMax = 200;
var requestsAtOnce = 32;
function createTokenSource(options) {
  const runtime = { ...platformRuntime, ...options.runtime };
  const proof = typeof options.proof === "function" ? options.proof : signedWithOwnKey(options.proof);
  const connection = connectToBroker({ url: options.url, issuer: options.issuer }, proof, runtime);
  const waitMs = options.timeout ?? 3e4;
  const kinds = /* @__PURE__ */ new Map();
  let underWay = 0;
  const fetchToken = async (form) => {
    if (underWay >= requestsAtOnce)
      throw new TokenError("unavailable", `${requestsAtOnce} requests to the broker are under way`);
    underWay += 1;
    try {
      return await connection.exchange({
        audience: options.credential,
        ...sharedParameters(options),
        ...form
      });
    } finally {
      underWay -= 1;
    }
  };
  const heldFor = (form) => {
    const name = JSON.stringify(form);
    const held = kinds.get(name) ?? createHeldToken({
      runtime,
      fetchToken: () => fetchToken(form),
      isOver: (token, failure) => isOver(connection, token, failure),
      recheckMs: (options.recheck ?? 60) * 1e3,
      onFailure: options.onFailure ?? ignore
    });
    kinds.delete(name);
    kinds.set(name, held);
    const [oldest] = kinds.keys();
    if (kinds.size > kindsMax && oldest !== void 0) kinds.delete(oldest);
    return held;
  };
  const accessToken = (scopes) => {
    const all = kinds.get("{}");
    const isAll = scopes.length > 0 && sameScopes(all?.peek()?.token.scopes, scopes);
    return heldFor(scopes.length === 0 || isAll ? {} : { scope: scopes.toSorted().join(" ") });
  };
  const getToken2 = async ({ scopes = options.scopes ?? [] } = {}) => tokenOf(await accessToken([...new Set(scopes)]).get(waitMs));
  return {
    getToken: getToken2,
    getIdToken: async (audience) => tokenOf(
      await heldFor({
        requested_token_type: "urn:ietf:params:oauth:token-type:id_token",
        resource: audience
      }).get(waitMs)
    ),
    getRequestHeaders: async () => ({ authorization: `Bearer ${(await getToken2()).token}` })
  };
}
function sharedParameters({ lifetime, accessBoundary, subject }) {
  return {
    ...lifetime !== void 0 && { requested_lifetime: String(lifetime) },
    ...omitUndefined({ requested_subject: subject }),
    ...accessBoundary !== void 0 && { options: JSON.stringify({ accessBoundary }) }
  };
}
async function isOver(connection, held, failure) {
  const { code, error, status } = failure;
  const isOfProof = error === "invalid_request" || error === "invalid_client";
  if (code === "refused" && !(isOfProof && connection.repeatedItsProof())) return true;
  if (status === void 0) return false;
  try {
    return await connection.isActive(held.text) === false;
  } catch {
    return false;
  }
}
function tokenOf({ token, expiresAtMs }) {
  return { token: token.text, scopes: token.scopes, expiresAt: expiresAtMs };
}
function sameScopes(some, others) {
  return some !== void 0 && some.length === others.length && others.every((scope) => some.includes(scope));
}
function ignore() {
}

// infra/action/runner.ts
import { randomUUID } from "node:crypto";
import { appendFileSync } from "node:fs";
function input(name, isRequired = false) {
  const value = (process.env[`INPUT_${name.toUpperCase()}`] ?? "").trim();
  if (isRequired && value === "") throw new Error(`the input ${name} is required`);
  return value;
}
async function confirmedAudience(broker, issuer) {
  if (issuer !== "") return issuer;
  await confirmIssuer(broker, platformRuntime);
  return broker;
}
function mask(secret) {
  process.stdout.write(`::add-mask::${secret}
`);
}
function setOutput(name, value) {
  const end = `end-${randomUUID()}`;
  appendFileSync(process.env["GITHUB_OUTPUT"] ?? "/dev/null", `${name}<<${end}
${value}
${end}
`);
}
async function runStep(step) {
  try {
    await step();
  } catch (error) {
    const message2 = error instanceof Error ? error.message : "it failed";
    process.stdout.write(`::error::downscope: ${message2.replaceAll(/[\r\n]+/g, " ")}
`);
    process.exitCode = 1;
  }
}

// infra/action/main.ts
await runStep(async () => {
  const broker = brokerBase(input("broker", true));
  const audience = await confirmedAudience(broker, input("broker-issuer"));
  if (input("credential-file") === "true") writeCredentialFile(broker, audience);
  else await getToken(broker, audience);
});
async function getToken(broker, audience) {
  const scopes = input("scopes").split(/\s+/).filter((scope) => scope !== "");
  const lifetime = Number(input("lifetime"));
  const source = createTokenSource({
    url: broker,
    issuer: audience,
    credential: input("credential", true),
    scopes,
    ...lifetime > 0 ? { lifetime } : {},
    proof: async (name) => {
      const jwt = await jwtFromPlatform("github", process.env)(name);
      mask(jwt);
      return jwt;
    }
  });
  const { token, scopes: granted } = await source.getToken();
  mask(token);
  setOutput("token", token);
  remember("token", writePrivate("token", token));
  process.stdout.write(`downscope: a token with ${granted.join(" ") || "no scope"}
`);
}
function writeCredentialFile(broker, audience) {
  const [address, bearer] = [
    process.env["ACTIONS_ID_TOKEN_REQUEST_URL"],
    process.env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
  ];
  if (address === void 0 || bearer === void 0)
    throw new Error("GitHub offers no ID token here: the job needs permissions: id-token: write");
  const url = new URL(address);
  url.searchParams.set("audience", audience);
  const file = {
    type: "external_account",
    audience: `//${new URL(audience).host}/credentials/${input("credential", true)}`,
    subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
    token_url: `${broker}/v1/token`,
    token_info_url: `${broker}/v1/introspect`,
    credential_source: {
      url: url.href,
      headers: { Authorization: `Bearer ${bearer}` },
      format: { type: "json", subject_token_field_name: "value" }
    }
  };
  const path = writePrivate("json", `${JSON.stringify(file)}
`);
  remember("file", path);
  setOutput("credential-file", path);
  for (const name of ["GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE"])
    appendFileSync2(process.env["GITHUB_ENV"] ?? "/dev/null", `${name}=${path}
`);
  process.stdout.write(`downscope: wrote ${path}
`);
}
function writePrivate(ending, text) {
  const folder = process.env["RUNNER_TEMP"];
  if (folder === void 0) throw new Error("RUNNER_TEMP is not set");
  const path = join(folder, `downscope-${randomUUID2()}.${ending}`);
  writeFileSync(path, text, { mode: 384, flag: "wx" });
  return path;
}
function remember(name, path) {
  appendFileSync2(
    process.env["GITHUB_STATE"] ?? "/dev/null",
    `${name}=${path}
broker=${input("broker")}
issuer=${input("broker-issuer")}
`
  );
}
