// RocksDB computes its CRC32C by our kernel, and gets what its own would give.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <rocksdb/version.h>

#include <string>

#include "base/bytes.h"
#include "base/checksum.h"

namespace rocksdb::crc32c {
std::uint32_t Extend(std::uint32_t crc, const char* data, std::size_t bytes);
}

namespace ostraka::disk {
namespace {

constexpr const char* kSymbol = "_ZN7rocksdb6crc32c6ExtendEjPKcm";
using Kernel = std::uint32_t (*)(std::uint32_t, const char*, std::size_t);

TEST(RocksCrc, IsTheKernelThatTheLibraryFinds) {
  EXPECT_EQ(::dlsym(RTLD_DEFAULT, kSymbol), reinterpret_cast<void*>(&rocksdb::crc32c::Extend));
}

TEST(RocksCrc, GivesWhatTheLibrarysOwnGives) {
  EXPECT_EQ(rocksdb::crc32c::Extend(0, "123456789", 9), 0xe3069283U);
  const std::string name =
      "librocksdb.so." + std::to_string(ROCKSDB_MAJOR) + "." + std::to_string(ROCKSDB_MINOR);
  void* const library = ::dlopen(name.c_str(), RTLD_NOW | RTLD_NOLOAD);
  if (library == nullptr) GTEST_SKIP() << name << " is not what is linked";
  const auto own = reinterpret_cast<Kernel>(::dlsym(library, kSymbol));
  ASSERT_NE(own, nullptr);
  ASSERT_NE(own, &rocksdb::crc32c::Extend);
  std::string bytes;
  for (std::uint32_t i = 0; i < 70'000; ++i) bytes.push_back(static_cast<char>(i * 2654435761U >> 13));
  for (const std::size_t size : {0, 1, 7, 8, 63, 64, 65, 1000, 4096, 69'999}) {
    for (const std::size_t at : {0U, 1U}) {
      const std::uint32_t seed = static_cast<std::uint32_t>(size * 77);
      EXPECT_EQ(rocksdb::crc32c::Extend(seed, bytes.data() + at, size), own(seed, bytes.data() + at, size))
          << size;
    }
  }
  ::dlclose(library);
}

}  // namespace
}  // namespace ostraka::disk
