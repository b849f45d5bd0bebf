"""Asks Google's libraries for Python, or Authlib, for a token, as any program does. Prints the token alone."""
import os
import sys

kind = sys.argv[1]
scope = os.environ.get("CLIENT_SCOPE")

if kind == "token":
    import google.auth
    import google.auth.transport.requests

    credentials, _ = google.auth.default(scopes=[scope])
    credentials.refresh(google.auth.transport.requests.Request())
    print(credentials.token)
elif kind == "identity":
    import google.auth.transport.requests
    import google.oauth2.id_token

    request = google.auth.transport.requests.Request()
    print(google.oauth2.id_token.fetch_id_token(request, sys.argv[2]))
elif kind == "storage":
    import google.auth
    from google.cloud import storage

    credentials, _ = google.auth.default(scopes=[scope])
    client = storage.Client(
        project="acme", credentials=credentials, client_options={"api_endpoint": sys.argv[2]}
    )
    text = client.bucket(sys.argv[3]).blob(sys.argv[4]).download_as_text()
    if text != sys.argv[5]:
        sys.exit("the object is another: " + text)
    print(credentials.token)
elif kind == "sign":
    import json

    import google.auth
    from google.auth.transport.requests import AuthorizedSession

    credentials, _ = google.auth.default(scopes=[scope])
    answer = AuthorizedSession(credentials).post(sys.argv[2], json=json.loads(sys.argv[3]))
    answer.raise_for_status()
    print(answer.json()["signedUrl"])
elif kind == "signer":
    import base64
    import datetime

    import google.auth
    from google.auth.transport.requests import AuthorizedSession
    from google.cloud import storage

    class BrokerSigner(google.auth.credentials.Signing):
        """Signs by the broker's signBlob, whose address the library would not take."""

        def __init__(self, account, session):
            self._account = account
            self._session = session

        def sign_bytes(self, message):
            payload = base64.b64encode(message).decode()
            answer = self._session.post(self._account + ":signBlob", json={"payload": payload})
            answer.raise_for_status()
            return base64.b64decode(answer.json()["signedBlob"])

        @property
        def signer_email(self):
            return self._account.rsplit("/", 1)[1]

        @property
        def signer(self):
            return self

    credentials, _ = google.auth.default(scopes=[scope])
    signer = BrokerSigner(sys.argv[2], AuthorizedSession(credentials))
    blob = storage.Client(project="acme", credentials=credentials).bucket(sys.argv[3]).blob(sys.argv[4])
    expiration = datetime.timedelta(minutes=10)
    print(blob.generate_signed_url(version="v2", expiration=expiration, credentials=signer))
elif kind == "authlib":
    from authlib.integrations.requests_client import OAuth2Session
    from authlib.oauth2.rfc7523 import PrivateKeyJWT
    from joserfc.jwk import ECKey

    endpoint, name, key = sys.argv[2:5]
    with open(key, encoding="utf-8") as file:
        secret = ECKey.import_key(file.read())
    session = OAuth2Session(name, secret, token_endpoint_auth_method="private_key_jwt")
    session.register_client_auth_method(PrivateKeyJWT(endpoint, alg="ES256"))
    token = session.fetch_token(endpoint, grant_type="client_credentials", audience="reports", scope=scope)
    print(token["access_token"])
else:
    sys.exit("unknown: " + kind)
