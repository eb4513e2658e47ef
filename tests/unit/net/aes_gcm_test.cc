// The provider's ciphers through EVP, beside NIST's vectors and OpenSSL's own.
#include "net/aes_gcm.h"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

#include <atomic>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "net/openssl.h"

namespace ostraka::net {
namespace {

using CipherPtr = std::unique_ptr<EVP_CIPHER, FreeBy<EVP_CIPHER_free>>;
using ContextPtr = std::unique_ptr<EVP_CIPHER_CTX, FreeBy<EVP_CIPHER_CTX_free>>;

std::string from_hex(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    out.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  return out;
}

const unsigned char* in(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* out_of(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}
int size_of(std::string_view text) {
  return static_cast<int>(text.size());
}

// Where a message's AAD and text are cut into updates: pieces of these sizes, again and again; empty: one.
using Cuts = std::vector<std::size_t>;

// False when OpenSSL refused. The output takes the input's place when out is the same string.
bool feed(EVP_CIPHER_CTX* context, std::string_view text, std::string* out, const Cuts& cuts) {
  std::size_t done = 0;
  for (std::size_t i = 0; done < text.size(); ++i) {
    const std::size_t size = cuts.empty() ? text.size() : std::min(cuts[i % cuts.size()], text.size() - done);
    int written = -1;
    if (EVP_CipherUpdate(context, out == nullptr ? nullptr : out_of(*out) + done, &written,
                         in(text.substr(done)), static_cast<int>(size)) != 1) {
      return false;
    }
    EXPECT_EQ(written, static_cast<int>(size));
    done += size;
  }
  return true;
}

struct Message {
  std::string key, iv, aad, text;
};
struct Sealed {
  std::string text, tag;
  bool operator==(const Sealed&) const = default;
};

class AesGcmTest : public testing::Test {
 protected:
  void SetUp() override {
    if (aes_gcm().library != nullptr) return;
    ASSERT_EQ(aes_gcm().used.find("does not run"), std::string_view::npos) << "in spite of the CPU";
    GTEST_SKIP() << "AES-GCM is " << aes_gcm().used;
  }
  static const EVP_CIPHER* ours(std::size_t key_bytes) {
    static const CipherPtr small(EVP_CIPHER_fetch(aes_gcm().library, "AES-128-GCM", "provider=ostraka"));
    static const CipherPtr large(EVP_CIPHER_fetch(aes_gcm().library, "AES-256-GCM", "provider=ostraka"));
    return (key_bytes == 16 ? small : large).get();
  }
  static const EVP_CIPHER* theirs(std::size_t key_bytes) {
    return key_bytes == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
  }
  static bool start(EVP_CIPHER_CTX* context, const EVP_CIPHER* cipher, const Message& m, bool encrypt) {
    return EVP_CipherInit_ex(context, cipher, nullptr, nullptr, nullptr, encrypt ? 1 : 0) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, size_of(m.iv), nullptr) == 1 &&
           EVP_CipherInit_ex(context, nullptr, nullptr, in(m.key), in(m.iv), encrypt ? 1 : 0) == 1;
  }
  // In place, as TLS does it.
  static Sealed seal(EVP_CIPHER_CTX* context, const EVP_CIPHER* cipher, const Message& m,
                     const Cuts& cuts = {}) {
    EXPECT_TRUE(start(context, cipher, m, true));
    return seal_started(context, m, cuts);
  }
  static Sealed seal_started(EVP_CIPHER_CTX* context, const Message& m, const Cuts& cuts = {}) {
    Sealed out{m.text, std::string(16, '\0')};
    int more = -1;
    EXPECT_TRUE(feed(context, m.aad, nullptr, cuts));
    EXPECT_TRUE(feed(context, out.text, &out.text, cuts));
    EXPECT_EQ(EVP_CipherFinal_ex(context, out_of(out.tag), &more), 1);
    EXPECT_EQ(more, 0);
    EXPECT_EQ(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, out.tag.data()), 1);
    return out;
  }
  // nullopt: refused.
  static std::optional<std::string> open(EVP_CIPHER_CTX* context, const EVP_CIPHER* cipher, const Message& m,
                                         const Sealed& sealed, const Cuts& cuts = {}) {
    std::string tag = sealed.tag;
    std::string text(sealed.text.size(), '\0');
    unsigned char none[16];
    int more = 0;
    EXPECT_TRUE(start(context, cipher, m, false));
    EXPECT_EQ(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, size_of(tag), tag.data()), 1);
    EXPECT_TRUE(feed(context, m.aad, nullptr, cuts));
    EXPECT_TRUE(feed(context, sealed.text, &text, cuts));
    if (EVP_CipherFinal_ex(context, none, &more) != 1) return std::nullopt;
    return text;
  }
  std::string random_text(std::size_t size) {
    std::string out(size, '\0');
    for (char& c : out) c = static_cast<char>(random_());
    return out;
  }
  std::size_t below(std::size_t n) { return random_() % n; }
  Message random_message(std::size_t key_bytes, std::size_t iv_bytes, std::size_t aad, std::size_t text) {
    return {random_text(key_bytes), random_text(iv_bytes), random_text(aad), random_text(text)};
  }
  Cuts random_cuts() {
    Cuts out;
    for (std::size_t n = below(5); n > 0; --n) out.push_back(1 + below(below(2) == 0 ? 40 : 3000));
    return out;
  }

  std::mt19937 random_{20'261'122};
  const ContextPtr context_{EVP_CIPHER_CTX_new()};
};

struct Vector {
  const char *key, *iv, *aad, *text, *sealed, *tag;
};
constexpr const char* kText =
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
constexpr const char* kAad = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
constexpr const char* kLongIv =
    "9313225df88406e555909c5aff5269aa6a7a9538534f7da1e4c303d2a318a728c3c0c95156809539fcf0e2429a6b5254"
    "16aedbf5a0de6a57a637b39b";
// Test cases of "The Galois/Counter Mode of Operation (GCM)", McGrew and Viega: 1, 2, 4, 5, 6, 13, 14,
// 16, 18.
constexpr Vector kVectors[] = {
    {"00000000000000000000000000000000", "000000000000000000000000", "", "", "",
     "58e2fccefa7e3061367f1d57a4e7455a"},
    {"00000000000000000000000000000000", "000000000000000000000000", "", "00000000000000000000000000000000",
     "0388dace60b6a392f328c2b971b2fe78", "ab6e47d42cec13bdf53a67b21257bddf"},
    {"feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888", kAad, kText,
     "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
     "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
     "5bc94fbc3221a5db94fae95ae7121a47"},
    {"feffe9928665731c6d6a8f9467308308", "cafebabefacedbad", kAad, kText,
     "61353b4c2806934a777ff51fa22a4755699b2a714fcdc6f83766e5f97b6c7423"
     "73806900e49f24b22b097544d4896b424989b5e1ebac0f07c23f4598",
     "3612d2e79e3b0785561be14aaca2fccb"},
    {"feffe9928665731c6d6a8f9467308308", kLongIv, kAad, kText,
     "8ce24998625615b603a033aca13fb894be9112a5c3a211a8ba262a3cca7e2ca7"
     "01e4a9a4fba43c90ccdcb281d48c7c6fd62875d2aca417034c34aee5",
     "619cc5aefffe0bfa462af43c1699d050"},
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "", "",
     "", "530f8afbc74536b9a963b4f1c4cb738b"},
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "",
     "00000000000000000000000000000000", "cea7403d4d606b6e074ec5d3baf39d18",
     "d0d1c8a799996bf0265b98b5d48ab919"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888", kAad,
     kText,
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
     "76fc6ece0f4e1768cddf8853bb2d551b"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", kLongIv, kAad, kText,
     "5a8def2f0c9e53f1f75d7853659e2a20eeb2b22aafde6419a058ab4f6f746bf4"
     "0fc0c3b780f244452da3ebf1c5d82cdea2418997200ef82e44ae7e3f",
     "a44a8266ee1c8eb0c8b5d4cf5ae9f19a"},
};

TEST_F(AesGcmTest, PublishedVectors) {
  for (const Vector& v : kVectors) {
    const Message m{from_hex(v.key), from_hex(v.iv), from_hex(v.aad), from_hex(v.text)};
    const Sealed expected{from_hex(v.sealed), from_hex(v.tag)};
    const EVP_CIPHER* cipher = ours(m.key.size());
    ASSERT_NE(cipher, nullptr);
    for (const Cuts& cuts : {Cuts{}, Cuts{1}, Cuts{7, 20}}) {
      EXPECT_EQ(seal(context_.get(), cipher, m, cuts), expected) << v.tag;
      EXPECT_EQ(open(context_.get(), cipher, m, expected, cuts), m.text) << v.tag;
    }
  }
}

TEST_F(AesGcmTest, AgreesWithOpenSsl) {
  const ContextPtr other(EVP_CIPHER_CTX_new());
  for (int i = 0; i < 400; ++i) {
    const std::size_t key_bytes = below(2) == 0 ? 16 : 32;
    const std::size_t iv_bytes = below(3) == 0 ? 1 + below(128) : 12;
    const std::size_t text = below(4) == 0 ? below(20'000) : below(600);
    const Message m = random_message(key_bytes, iv_bytes, below(2) == 0 ? 5 : below(300), text);
    const Sealed sealed = seal(context_.get(), ours(key_bytes), m, random_cuts());
    ASSERT_EQ(sealed, seal(other.get(), theirs(key_bytes), m)) << i;
    ASSERT_EQ(open(context_.get(), ours(key_bytes), m, sealed, random_cuts()), m.text) << i;
    ASSERT_EQ(open(other.get(), theirs(key_bytes), m, sealed), m.text) << i;
  }
  const Message large = random_message(16, 12, 5, (3U << 20) + 17);
  const Sealed sealed = seal(context_.get(), ours(16), large, {16'401});
  EXPECT_EQ(sealed, seal(other.get(), theirs(16), large));
  EXPECT_EQ(open(context_.get(), ours(16), large, sealed), large.text);
}

TEST_F(AesGcmTest, RefusesWhatWasChanged) {
  const Message m = random_message(16, 12, 13, 1000);
  const Sealed sealed = seal(context_.get(), ours(16), m);
  const auto refused = [&](const Message& message, const Sealed& what) {
    return !open(context_.get(), ours(16), message, what).has_value();
  };
  ASSERT_FALSE(refused(m, sealed));
  for (std::size_t bit = 0; bit < 128; ++bit) {
    Sealed bad = sealed;
    bad.tag[bit / 8] = static_cast<char>(bad.tag[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_TRUE(refused(m, bad)) << bit;
  }
  for (const std::size_t at : {std::size_t{0}, std::size_t{511}, std::size_t{999}}) {
    Sealed bad = sealed;
    bad.text[at] = static_cast<char>(bad.text[at] ^ 1);
    EXPECT_TRUE(refused(m, bad)) << at;
  }
  Sealed shorter = sealed;
  shorter.text.pop_back();
  EXPECT_TRUE(refused(m, shorter));
  Message other = m;
  other.aad[12] = static_cast<char>(other.aad[12] ^ 1);
  EXPECT_TRUE(refused(other, sealed));
  other = m;
  other.iv[0] = static_cast<char>(other.iv[0] ^ 1);
  EXPECT_TRUE(refused(other, sealed));
  // A shorter tag is compared as far as it goes, down to four bytes.
  Sealed cut = sealed;
  cut.tag.resize(4);
  EXPECT_FALSE(refused(m, cut));
  cut.tag[3] = static_cast<char>(cut.tag[3] ^ 1);
  EXPECT_TRUE(refused(m, cut));
  ERR_clear_error();
}

// What TLS 1.3 does for each record: the key once, then an IV a message.
TEST_F(AesGcmTest, KeyAndIvAreSetApart) {
  Message first = random_message(16, 12, 5, 100);
  Message second = random_message(16, 12, 5, 200);
  second.key = first.key;
  EVP_CIPHER_CTX* c = context_.get();
  const auto init = [c](const EVP_CIPHER* cipher, const std::string* key, const std::string* iv) {
    return EVP_CipherInit_ex(c, cipher, nullptr, key != nullptr ? in(*key) : nullptr,
                             iv != nullptr ? in(*iv) : nullptr, 1);
  };
  ASSERT_EQ(init(ours(16), nullptr, nullptr), 1);
  ASSERT_EQ(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, 12, nullptr), 1);
  ASSERT_EQ(init(nullptr, &first.key, nullptr), 1);
  const ContextPtr other(EVP_CIPHER_CTX_new());
  for (Message* m : {&first, &second}) {
    ASSERT_EQ(init(nullptr, nullptr, &m->iv), 1);
    EXPECT_EQ(seal_started(c, *m), seal(other.get(), theirs(16), *m));
  }
  // The other order, and another key for the same IV.
  Message third = random_message(16, 12, 5, 50);
  ASSERT_EQ(init(nullptr, nullptr, &third.iv), 1);
  ASSERT_EQ(init(nullptr, &third.key, nullptr), 1);
  EXPECT_EQ(seal_started(c, third), seal(other.get(), theirs(16), third));
  // A message that was left for a new one leaves nothing behind.
  std::string rest = "abandoned";
  ASSERT_EQ(init(nullptr, nullptr, &first.iv), 1);
  ASSERT_TRUE(feed(c, first.aad, nullptr, {}) && feed(c, rest, &rest, {}));
  ASSERT_EQ(init(nullptr, nullptr, &third.iv), 1);
  EXPECT_EQ(seal_started(c, third), seal(other.get(), theirs(16), third));
  // Nor may its IV go on under another key.
  ASSERT_EQ(init(nullptr, nullptr, &first.iv), 1);
  ASSERT_TRUE(feed(c, first.aad, nullptr, {}));
  ASSERT_EQ(init(nullptr, &first.key, nullptr), 1);
  EXPECT_FALSE(feed(c, rest, &rest, {}));
  ERR_clear_error();
}

TEST_F(AesGcmTest, MisuseIsRefused) {
  EVP_CIPHER_CTX* c = context_.get();
  const Message m = random_message(16, 12, 5, 40);
  const Sealed sealed = seal(c, ours(16), m);
  std::string text = m.text;
  std::string tag(16, '\0');
  int more = 0;
  const auto ends = [&] { return EVP_CipherFinal_ex(c, out_of(tag), &more) == 1; };
  // The IV was used up, for text, AAD and the end.
  EXPECT_FALSE(feed(c, m.text, &text, {}));
  EXPECT_FALSE(feed(c, m.aad, nullptr, {}));
  EXPECT_FALSE(ends());
  // No key, no IV.
  ASSERT_EQ(EVP_CIPHER_CTX_reset(c), 1);
  ASSERT_EQ(EVP_CipherInit_ex(c, ours(16), nullptr, nullptr, in(m.iv), 1), 1);
  EXPECT_FALSE(feed(c, m.aad, nullptr, {}));
  EXPECT_FALSE(feed(c, m.text, &text, {}));
  EXPECT_FALSE(ends());
  ASSERT_EQ(EVP_CIPHER_CTX_reset(c), 1);
  ASSERT_EQ(EVP_CipherInit_ex(c, ours(16), nullptr, in(m.key), nullptr, 1), 1);
  EXPECT_FALSE(feed(c, m.text, &text, {}));
  EXPECT_FALSE(ends());
  EXPECT_EQ(text, m.text);
  // A tag before the message's end, and while encrypting.
  ASSERT_TRUE(start(c, ours(16), m, true));
  EXPECT_NE(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, 16, tag.data()), 1);
  EXPECT_NE(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, 16, tag.data()), 1);
  // AAD after text.
  ASSERT_TRUE(feed(c, m.text, &text, {}));
  EXPECT_FALSE(feed(c, m.aad, nullptr, {}));
  // No tag to compare with; it can still be told then, once.
  ASSERT_TRUE(start(c, ours(16), m, false));
  ASSERT_TRUE(feed(c, m.aad, nullptr, {}) && feed(c, sealed.text, &text, {}));
  EXPECT_FALSE(ends());
  EXPECT_NE(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, 3, tag.data()), 1);
  tag = sealed.tag;
  ASSERT_EQ(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, 16, tag.data()), 1);
  EXPECT_TRUE(ends());
  EXPECT_EQ(text, m.text);
  EXPECT_FALSE(ends());
  ASSERT_TRUE(start(c, ours(16), m, false));
  ASSERT_TRUE(feed(c, m.aad, nullptr, {}) && feed(c, sealed.text, &text, {}));
  EXPECT_FALSE(ends()) << "the last message's tag is no tag";
  // Sizes.
  EXPECT_NE(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, 0, nullptr), 1);
  EXPECT_NE(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, 129, nullptr), 1);
  EXPECT_NE(EVP_CIPHER_CTX_set_key_length(c, 32), 1);
  // TLS 1.2 is not for us.
  unsigned char record[13] = {0, 0, 0, 0, 0, 0, 0, 1, 23, 3, 3, 0, 64};
  EXPECT_LE(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_TLS1_AAD, sizeof record, record), 0);
  EXPECT_LE(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_IV_FIXED, 4, record), 0);
  EXPECT_LE(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_IV_GEN, 8, record), 0);
  ERR_clear_error();
}

TEST_F(AesGcmTest, ByEvpCipher) {
  const Message m = random_message(16, 12, 5, 333);
  const Sealed expected = seal(context_.get(), theirs(16), m);
  const ContextPtr c(EVP_CIPHER_CTX_new());
  std::string text = m.text;
  std::string tag(16, '\0');
  ASSERT_TRUE(start(c.get(), ours(16), m, true));
  EXPECT_EQ(EVP_Cipher(c.get(), nullptr, in(m.aad), 5), 5);
  EXPECT_EQ(EVP_Cipher(c.get(), out_of(text), in(text), 333), 333);
  EXPECT_EQ(EVP_Cipher(c.get(), nullptr, nullptr, 0), 0);
  EXPECT_EQ(EVP_CIPHER_CTX_ctrl(c.get(), EVP_CTRL_AEAD_GET_TAG, 16, tag.data()), 1);
  EXPECT_EQ((Sealed{text, tag}), expected);
  EXPECT_EQ(EVP_Cipher(c.get(), nullptr, nullptr, 0), -1);
  ERR_clear_error();
}

TEST_F(AesGcmTest, ACopyGoesOnByItself) {
  const Message m = random_message(32, 12, 60, 5000);
  const ContextPtr other(EVP_CIPHER_CTX_new());
  const Sealed expected = seal(other.get(), theirs(32), m);
  const ContextPtr reference(EVP_CIPHER_CTX_new());
  for (const bool in_text : {false, true}) {
    EVP_CIPHER_CTX* c = context_.get();
    ASSERT_TRUE(start(c, ours(32), m, true));
    std::string head = m.text.substr(0, 1001);
    const std::size_t aad_first = in_text ? m.aad.size() : 30;
    ASSERT_TRUE(feed(c, m.aad.substr(0, aad_first), nullptr, {}));
    if (in_text) {
      ASSERT_TRUE(feed(c, head, &head, {}));
    }
    const ContextPtr twin(EVP_CIPHER_CTX_new());
    ASSERT_EQ(EVP_CIPHER_CTX_copy(twin.get(), c), 1);
    Message rest = m;
    rest.aad = m.aad.substr(aad_first);
    rest.text = m.text.substr(in_text ? head.size() : 0);
    for (EVP_CIPHER_CTX* each : {c, twin.get()}) {
      const Sealed sealed = seal_started(each, rest);
      EXPECT_EQ((in_text ? head : "") + sealed.text, expected.text);
      EXPECT_EQ(sealed.tag, expected.tag);
    }
  }
}

TEST_F(AesGcmTest, TellsWhatItIs) {
  for (const std::size_t key_bytes : {std::size_t{16}, std::size_t{32}}) {
    const EVP_CIPHER* cipher = ours(key_bytes);
    ASSERT_NE(cipher, nullptr);
    EXPECT_STREQ(OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(cipher)), "ostraka");
    EXPECT_EQ(EVP_CIPHER_get_nid(cipher), EVP_CIPHER_get_nid(theirs(key_bytes)));
    EXPECT_EQ(EVP_CIPHER_get_mode(cipher), EVP_CIPH_GCM_MODE);
    EXPECT_EQ(EVP_CIPHER_get_block_size(cipher), 1);
    EXPECT_EQ(EVP_CIPHER_get_key_length(cipher), static_cast<int>(key_bytes));
    EXPECT_EQ(EVP_CIPHER_get_iv_length(cipher), 12);
    const CipherPtr usual(EVP_CIPHER_fetch(nullptr, EVP_CIPHER_get0_name(cipher), nullptr));
    EXPECT_EQ(EVP_CIPHER_get_flags(cipher), EVP_CIPHER_get_flags(usual.get()));
    const Message m = random_message(key_bytes, 33, 0, 0);
    ASSERT_TRUE(start(context_.get(), cipher, m, true));
    EXPECT_EQ(EVP_CIPHER_CTX_get_iv_length(context_.get()), 33);
    EXPECT_EQ(EVP_CIPHER_CTX_get_key_length(context_.get()), static_cast<int>(key_bytes));
    EXPECT_EQ(EVP_CIPHER_CTX_get_tag_length(context_.get()), 16);
    std::string iv(33, '\0');
    EXPECT_EQ(EVP_CIPHER_CTX_get_original_iv(context_.get(), iv.data(), iv.size()), 1);
    EXPECT_EQ(iv, m.iv);
  }
}

TEST_F(AesGcmTest, NobodyElseGetsIt) {
  for (const char* name : {"AES-128-GCM", "id-aes256-GCM"}) {
    const CipherPtr usual(EVP_CIPHER_fetch(nullptr, name, nullptr));
    EXPECT_STREQ(OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(usual.get())), "default");
    const CipherPtr asked(EVP_CIPHER_fetch(nullptr, name, aes_gcm().properties));
    EXPECT_STREQ(OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(asked.get())), "default");
  }
  // Peers get what the provider has not from OpenSSL.
  const CipherPtr other(EVP_CIPHER_fetch(aes_gcm().library, "AES-128-CBC", aes_gcm().properties));
  EXPECT_STREQ(OSSL_PROVIDER_get0_name(EVP_CIPHER_get0_provider(other.get())), "default");
}

TEST_F(AesGcmTest, ThreadsDoNotDisturbEachOther) {
  const Message m = random_message(16, 12, 5, 16'401);
  const Sealed expected = seal(context_.get(), theirs(16), m);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      const ContextPtr mine(EVP_CIPHER_CTX_new());
      for (int i = 0; i < 100; ++i) {
        if (seal(mine.get(), ours(16), m) != expected) ++wrong;
        if (open(mine.get(), ours(16), m, expected) != m.text) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace ostraka::net
