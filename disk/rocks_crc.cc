// The CRC32C of RocksDB's logs and blob files. Debian builds librocksdb for any x86-64, and so without the
// CPU's instructions for it: by table, at 1 GB a second, it was a tenth of what a small PUT or a refill
// costs. The library calls its kernel through the dynamic symbol table, where a definition of the program's
// comes first: this one, by ISA-L. Where the linker or another build of the library sees to it that it does
// not, everything works as before. disk/CMakeLists.txt has it linked although nobody here calls it.
#include <cstddef>
#include <cstdint>

#include "base/checksum.h"

namespace rocksdb::crc32c {

// As util/crc32c.h of RocksDB declares it. crc: of the bytes before.
std::uint32_t Extend(std::uint32_t crc, const char* data, std::size_t bytes);

std::uint32_t Extend(std::uint32_t crc, const char* data, std::size_t bytes) {
  return ostraka::crc32c(crc, ostraka::as_bytes(std::string_view(data, bytes)));
}

}  // namespace rocksdb::crc32c
