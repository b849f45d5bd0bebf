// Asks Google's libraries for Go for a token, as any program does. Prints the token alone.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/auth/credentials/idtoken"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
)

func main() {
	text, err := ask(context.Background(), os.Args[1], os.Getenv("CLIENT_SCOPE"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(text)
}

func ask(ctx context.Context, kind, scope string) (string, error) {
	switch kind {
	case "auth":
		found, err := credentials.DetectDefault(&credentials.DetectOptions{Scopes: []string{scope}})
		if err != nil {
			return "", err
		}
		token, err := found.Token(ctx)
		if err != nil {
			return "", err
		}
		return token.Value, nil
	case "oauth2":
		found, err := google.FindDefaultCredentials(ctx, scope)
		if err != nil {
			return "", err
		}
		token, err := found.TokenSource.Token()
		if err != nil {
			return "", err
		}
		return token.AccessToken, nil
	case "sign":
		found, err := google.FindDefaultCredentials(ctx, scope)
		if err != nil {
			return "", err
		}
		client := oauth2.NewClient(ctx, found.TokenSource)
		answer, err := client.Post(os.Args[2], "application/json", strings.NewReader(os.Args[3]))
		if err != nil {
			return "", err
		}
		defer answer.Body.Close()
		if answer.StatusCode != 200 {
			return "", fmt.Errorf("status %d", answer.StatusCode)
		}
		var signed struct {
			SignedURL string `json:"signedUrl"`
		}
		err = json.NewDecoder(answer.Body).Decode(&signed)
		return signed.SignedURL, err
	case "identity":
		found, err := idtoken.NewCredentials(&idtoken.Options{Audience: os.Args[2]})
		if err != nil {
			return "", err
		}
		token, err := found.Token(ctx)
		if err != nil {
			return "", err
		}
		return token.Value, nil
	}
	return "", fmt.Errorf("unknown: %s", kind)
}
