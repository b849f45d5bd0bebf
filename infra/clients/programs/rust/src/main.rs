//! Asks Google's library for Rust for a token, as any program does. Prints the token alone.
use google_cloud_auth::credentials::Builder;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let scope = std::env::var("CLIENT_SCOPE")?;
    let credentials = Builder::default()
        .with_scopes([scope])
        .build_access_token_credentials()?;
    println!("{}", credentials.access_token().await?.token);
    Ok(())
}
