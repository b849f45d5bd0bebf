import com.google.api.client.http.ByteArrayContent;
import com.google.api.client.http.GenericUrl;
import com.google.api.client.http.javanet.NetHttpTransport;
import com.google.api.client.json.JsonObjectParser;
import com.google.api.client.json.GenericJson;
import com.google.api.client.json.gson.GsonFactory;
import com.google.auth.http.HttpCredentialsAdapter;
import com.google.auth.oauth2.GoogleCredentials;
import com.google.auth.oauth2.IdTokenCredentials;
import com.google.auth.oauth2.IdTokenProvider;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.ECKey;
import com.nimbusds.oauth2.sdk.ClientCredentialsGrant;
import com.nimbusds.oauth2.sdk.Scope;
import com.nimbusds.oauth2.sdk.TokenRequest;
import com.nimbusds.oauth2.sdk.TokenResponse;
import com.nimbusds.oauth2.sdk.auth.PrivateKeyJWT;
import com.nimbusds.oauth2.sdk.id.ClientID;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;

/** Asks Google's library for Java, or Nimbus, for a token, as any program does. Prints the token alone. */
public final class Client {
  public static void main(String[] args) throws Exception {
    String scope = System.getenv("CLIENT_SCOPE");
    switch (args[0]) {
      case "token":
        System.out.println(
            GoogleCredentials.getApplicationDefault().createScoped(scope).refreshAccessToken().getTokenValue());
        break;
      case "identity":
        IdTokenProvider provider = (IdTokenProvider) GoogleCredentials.getApplicationDefault();
        IdTokenCredentials credentials =
            IdTokenCredentials.newBuilder().setIdTokenProvider(provider).setTargetAudience(args[1]).build();
        System.out.println(credentials.refreshAccessToken().getTokenValue());
        break;
      case "sign":
        System.out.println(
            new NetHttpTransport()
                .createRequestFactory(
                    new HttpCredentialsAdapter(GoogleCredentials.getApplicationDefault().createScoped(scope)))
                .buildPostRequest(
                    new GenericUrl(args[1]), ByteArrayContent.fromString("application/json", args[2]))
                .setParser(new JsonObjectParser(GsonFactory.getDefaultInstance()))
                .execute()
                .parseAs(GenericJson.class)
                .get("signedUrl"));
        break;
      case "nimbus":
        URI endpoint = URI.create(args[1]);
        ECKey key = ECKey.parse(Files.readString(Path.of(args[3])));
        PrivateKeyJWT proof =
            new PrivateKeyJWT(
                new ClientID(args[2]), endpoint, JWSAlgorithm.ES256, key.toECPrivateKey(), key.getKeyID(), null);
        TokenRequest request =
            new TokenRequest.Builder(endpoint, proof, new ClientCredentialsGrant())
                .scope(new Scope(scope))
                .customParameter("audience", "reports")
                .build();
        TokenResponse response = TokenResponse.parse(request.toHTTPRequest().send());
        if (!response.indicatesSuccess()) {
          throw new IllegalStateException(response.toErrorResponse().getErrorObject().toJSONObject().toString());
        }
        System.out.println(response.toSuccessResponse().getTokens().getAccessToken().getValue());
        break;
      default:
        throw new IllegalArgumentException(args[0]);
    }
  }
}
