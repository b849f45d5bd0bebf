"""Asks Google's libraries for Python, or Authlib, for a token, as any program does. Prints the token alone."""
import os
import sys

kind = sys.argv[1]
scope = os.environ.get("CLIENT_SCOPE")

if kind == "version":
    import authlib
    import google.auth.version
    import google.cloud.storage

    print(google.auth.version.__version__, google.cloud.storage.__version__, authlib.__version__)
elif kind == "token":
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
