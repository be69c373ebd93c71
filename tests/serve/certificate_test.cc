// A server that has to prove who it is.
#include <gtest/gtest.h>
#include <httplib.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

#include "base/temp_dir.h"
#include "ondine/server.h"

namespace ondine::testing {
namespace {

constexpr long kHour = 3600;

// A key and a certificate that nobody but itself has signed.
class Identity {
 public:
  // `name`: of the host, "IP:127.0.0.1" or "DNS:host".
  explicit Identity(const char* name)
      : key_(EVP_EC_gen("P-256"), EVP_PKEY_free), certificate_(X509_new(), X509_free) {
    X509* x509 = certificate_.get();
    X509_set_version(x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -kHour);
    X509_gmtime_adj(X509_getm_notAfter(x509), kHour);
    X509_set_pubkey(x509, key_.get());
    X509_NAME* subject = X509_get_subject_name(x509);
    const unsigned char text[] = "a test";
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, text, -1, -1, 0);
    X509_set_issuer_name(x509, subject);
    X509_EXTENSION* names = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, name);
    X509_add_ext(x509, names, -1);
    X509_EXTENSION_free(names);
    EXPECT_GT(X509_sign(x509, key_.get(), EVP_sha256()), 0);
  }

  X509* certificate() const { return certificate_.get(); }
  EVP_PKEY* key() const { return key_.get(); }
  void Write(const std::string& path) const {
    std::FILE* file = std::fopen(path.c_str(), "w");
    ASSERT_NE(file, nullptr);
    EXPECT_EQ(PEM_write_X509(file, certificate_.get()), 1);
    std::fclose(file);
  }

 private:
  std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key_;
  std::unique_ptr<X509, void (*)(X509*)> certificate_;
};

class Encrypted : public ::testing::Test {
 protected:
  // Asks a server on 127.0.0.1 that shows the certificate of `name`.
  ServerAnswer Ask(const char* name, bool trusted) {
    const Identity identity(name);
    identity.Write(folder_.File("trusted.pem"));
    httplib::SSLServer http(identity.certificate(), identity.key());
    http.Post("/chat/completions", [this](const httplib::Request& request, auto& reply) {
      heard_ = request.body;
      reply.set_content(R"({"choices":[{"message":{"content":"Air."}}]})", "application/json");
    });
    const int port = http.bind_to_any_port("127.0.0.1");
    std::thread thread([&] { http.listen_after_bind(); });
    // Before, it cannot be stopped.
    while (!http.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ServerSettings settings;
    settings.url = "https://127.0.0.1:" + std::to_string(port);
    settings.connect_seconds = 60;  // where everything is slow
    if (trusted) settings.certificates = folder_.File("trusted.pem");
    auto server = Server::Create(settings);
    EXPECT_TRUE(server);
    const ServerAnswer answer =
        server ? server->Ask("Why is the sky blue?", nullptr) : ServerAnswer();
    http.stop();
    thread.join();
    return answer;
  }

  const TempDir folder_;
  std::string heard_;
};

TEST_F(Encrypted, AServerThatIsTrustedIsAsked) {
  const ServerAnswer answer = Ask("IP:127.0.0.1", true);
  EXPECT_FALSE(answer.failure) << answer.detail;
  EXPECT_EQ(answer.text, "Air.");
}

TEST_F(Encrypted, AServerThatNobodyVouchesForHearsNothing) {
  const ServerAnswer answer = Ask("IP:127.0.0.1", false);
  EXPECT_EQ(answer.failure, ServerFailure::kCertificate) << answer.detail;
  EXPECT_FALSE(answer.sent);
  EXPECT_EQ(heard_, "");
}

TEST_F(Encrypted, AServerWithTheCertificateOfAnotherHearsNothing) {
  const ServerAnswer answer = Ask("DNS:elsewhere.example", true);
  EXPECT_EQ(answer.failure, ServerFailure::kCertificate) << answer.detail;
  EXPECT_FALSE(answer.sent);
  EXPECT_EQ(heard_, "");
}

}  // namespace
}  // namespace ondine::testing
