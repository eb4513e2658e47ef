// TLS 1.3 sessions whose sides have their AES-GCM from different places.
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <array>
#include <random>
#include <string>

#include "net/aes_gcm.h"
#include "net/openssl.h"
#include "test_pki.h"

namespace ostraka::net {
namespace {

constexpr std::size_t kBytes = (1U << 20) + 13;

class AesGcmTlsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (aes_gcm().library == nullptr) GTEST_SKIP() << "AES-GCM is " << aes_gcm().used;
  }
  // Both ends over a pair of buffers in memory.
  void connect(bool fast_client, bool fast_server, const char* suite) {
    const auto context = [&](const SSL_METHOD* method, bool fast) {
      auto out = fast ? new_context(method, aes_gcm().library, aes_gcm().properties) : new_context(method);
      EXPECT_EQ(SSL_CTX_set_ciphersuites(out.get(), suite), 1);
      SSL_CTX_set_min_proto_version(out.get(), TLS1_3_VERSION);
      SSL_CTX_set_num_tickets(out.get(), 0);
      return out;
    };
    const auto client = context(TLS_client_method(), fast_client);
    const auto server = context(TLS_server_method(), fast_server);
    const CertificateAndKey own = pki_.node("node1");
    ASSERT_TRUE(use_certificate(server.get(), {own.certificate, "crt", own.key, "key"}));
    client_.reset(SSL_new(client.get()));
    server_.reset(SSL_new(server.get()));
    BIO* near = nullptr;
    BIO* far = nullptr;
    ASSERT_EQ(BIO_new_bio_pair(&near, 100'000, &far, 100'000), 1);
    SSL_set_bio(client_.get(), near, near);
    SSL_set_bio(server_.get(), far, far);
    SSL_set_connect_state(client_.get());
    SSL_set_accept_state(server_.get());
    for (int i = 0; i < 10 && (SSL_in_init(client_.get()) != 0 || SSL_in_init(server_.get()) != 0); ++i) {
      SSL_do_handshake(client_.get());
      SSL_do_handshake(server_.get());
    }
    ASSERT_EQ(SSL_in_init(client_.get()), 0);
    ASSERT_EQ(SSL_in_init(server_.get()), 0);
    EXPECT_STREQ(SSL_get_cipher_name(client_.get()), suite);
  }
  // What arrives of the text, which is written as the other side takes it.
  static std::string send(SSL* from, SSL* to, const std::string& text) {
    std::string out;
    std::string part(50'000, '\0');
    std::size_t written = 0;
    while (out.size() < text.size()) {
      std::size_t some = 0;
      bool moved = false;
      if (written < text.size() &&
          SSL_write_ex(from, text.data() + written, text.size() - written, &some) == 1) {
        written += some;
        moved = true;
      }
      while (SSL_read_ex(to, part.data(), part.size(), &some) == 1) {
        out.append(part, 0, some);
        moved = true;
      }
      if (!moved) break;
    }
    return out;
  }

  const TestPki pki_;
  SslPtr client_, server_;
};

TEST_F(AesGcmTlsTest, EitherSideMayHaveIt) {
  std::mt19937 random(7);
  std::string text(kBytes, '\0');
  for (char& c : text) c = static_cast<char>(random());
  for (const char* suite : {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384"}) {
    for (const auto& [fast_client, fast_server] :
         {std::pair(false, false), std::pair(false, true), std::pair(true, false), std::pair(true, true)}) {
      const std::uint64_t before = aes_gcm_keys();
      ASSERT_NO_FATAL_FAILURE(connect(fast_client, fast_server, suite));
      EXPECT_EQ(aes_gcm_keys() - before, (fast_client ? 4U : 0U) + (fast_server ? 4U : 0U));
      EXPECT_TRUE(send(client_.get(), server_.get(), text) == text) << suite << fast_client << fast_server;
      EXPECT_TRUE(send(server_.get(), client_.get(), text) == text) << suite << fast_client << fast_server;
      // New keys in the middle of a session (RFC 8446, 4.6.3), of both directions.
      ASSERT_EQ(SSL_key_update(client_.get(), SSL_KEY_UPDATE_REQUESTED), 1);
      EXPECT_EQ(send(client_.get(), server_.get(), "after"), "after");
      EXPECT_EQ(send(server_.get(), client_.get(), "all"), "all");
    }
  }
}

TEST_F(AesGcmTlsTest, AChangedRecordEndsTheSession) {
  ASSERT_NO_FATAL_FAILURE(connect(true, true, "TLS_AES_128_GCM_SHA256"));
  std::size_t some = 0;
  ASSERT_EQ(SSL_write_ex(server_.get(), "secret", 6, &some), 1);
  std::array<unsigned char, 1000> record{};
  const int size = BIO_read(SSL_get_rbio(client_.get()), record.data(), record.size());
  ASSERT_EQ(size, 5 + 6 + 1 + 16);  // header, text, its type, tag
  record[static_cast<std::size_t>(size) - 1] ^= 1;
  SSL_set0_rbio(client_.get(), BIO_new_mem_buf(record.data(), size));
  ERR_clear_error();
  std::array<char, 64> part{};
  EXPECT_EQ(SSL_read_ex(client_.get(), part.data(), part.size(), &some), 0);
  EXPECT_EQ(ERR_GET_REASON(ERR_peek_error()), SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC);
  EXPECT_EQ(part, (std::array<char, 64>{}));
  ERR_clear_error();
}

}  // namespace
}  // namespace ostraka::net
