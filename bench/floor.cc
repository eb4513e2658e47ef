// The floor under each figure of the load run: the same unavoidable work done by a bare program on the same
// machine, without any server around it. Bytes cross a loopback socket pair of processes; only the CPU
// seconds of the receiving (serving) process count.
//
// usage: floor put|get|put-small|get-small|head|list DIR MIB_OR_OPS     prints one line: name, CPU seconds,
// unit
//
// put: receive, SHA-256, MD5, CRC64NVME, encode 6+2, XXH3-128 per block, write and sync 8 files.   per GiB
// get: read 6 shard files, check XXH3-128 per block, send.                                        per GiB
// put-small, get-small, head, list: the index work of 4 KiB objects in 8, 6, 3, 3 RocksDB indexes.       per
// 1,000 (list: 100,000 keys)
#include <arpa/inet.h>
#include <fcntl.h>
#include <isa-l/erasure_code.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/checksum.h"
#include "base/hash.h"
#include "base/limits.h"
#include "disk/drive.h"

namespace {

constexpr unsigned kData = 6, kParity = 2, kDrives = kData + kParity;
constexpr std::size_t kObjectBytes = 10U << 20, kReceiveBytes = 256U << 10;
constexpr std::size_t kSmallBytes = 4096, kRowBytes = 320;

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// A connected TCP pair over loopback; the second end belongs to a child process that runs `peer` and exits.
template <class Peer>
int connect_to_child(Peer peer) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), length) != 0 || listen(listener, 1) != 0)
    die("listen");
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
  if (fork() == 0) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) die("connect");
    peer(fd);
    _exit(0);
  }
  const int fd = accept(listener, nullptr, nullptr);
  if (fd < 0) die("accept");
  close(listener);
  return fd;
}

void read_all(int fd, std::uint8_t* out, std::size_t bytes) {
  while (bytes > 0) {
    const ssize_t got = read(fd, out, bytes);
    if (got <= 0) die("read");
    out += got;
    bytes -= static_cast<std::size_t>(got);
  }
}

void write_all(int fd, const std::uint8_t* data, std::size_t bytes) {
  while (bytes > 0) {
    const ssize_t put = write(fd, data, bytes);
    if (put <= 0) die("write");
    data += put;
    bytes -= static_cast<std::size_t>(put);
  }
}

std::string shard_path(const std::string& dir, unsigned drive, std::size_t object) {
  return dir + "/d" + std::to_string(drive) + "/" + std::to_string(object);
}

void put_objects(const std::string& dir, std::size_t objects) {
  std::vector<std::uint8_t> matrix(std::size_t{kDrives} * kData), tables(std::size_t{32} * kData * kParity);
  gf_gen_cauchy1_matrix(matrix.data(), kDrives, kData);
  ec_init_tables(kData, kParity, matrix.data() + std::size_t{kData} * kData, tables.data());
  const int fd = connect_to_child([&](int peer) {
    std::vector<std::uint8_t> body(kObjectBytes, 0x5a);
    for (std::size_t i = 0; i < objects; ++i) write_all(peer, body.data(), body.size());
  });
  const std::size_t block = ostraka::disk::shard_block_bytes(ostraka::kStripeBytes, kData);
  auto* slab = static_cast<std::uint8_t*>(std::aligned_alloc(4096, block * kDrives));
  std::memset(slab, 0, block * kDrives);
  ostraka::Digest sha(ostraka::DigestKind::sha256), md5(ostraka::DigestKind::md5);
  for (std::size_t i = 0; i < objects; ++i) {
    int files[kDrives];
    for (unsigned d = 0; d < kDrives; ++d)
      files[d] = open(shard_path(dir, d, i).c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0644);
    std::uint64_t crc = 0;
    for (std::size_t done = 0; done < kObjectBytes; done += ostraka::kStripeBytes) {
      for (std::size_t at = 0; at < ostraka::kStripeBytes; at += kReceiveBytes) {
        read_all(fd, slab + at, kReceiveBytes);
        const ostraka::ByteSpan piece{slab + at, kReceiveBytes};
        sha.update(piece);
        md5.update(piece);
        crc = ostraka::crc64nvme(crc, piece);
      }
      std::uint8_t* shards[kDrives];
      for (unsigned d = 0; d < kDrives; ++d) shards[d] = slab + d * block;
      ec_encode_data(static_cast<int>(block), kData, kParity, tables.data(), shards, shards + kData);
      for (unsigned d = 0; d < kDrives; ++d) {
        const ostraka::Hash128 hash = ostraka::xxh3_128({shards[d], block});
        if (hash.low == crc) std::abort();  // keeps the hash alive
        write_all(files[d], shards[d], block);
      }
    }
    sha.finish();
    md5.finish();
    for (const int file : files) {
      if (fdatasync(file) != 0) die("fdatasync");
      close(file);
    }
  }
  close(fd);
  std::free(slab);
}

void get_objects(const std::string& dir, std::size_t objects) {
  const int fd = connect_to_child([&](int peer) {
    std::vector<std::uint8_t> buffer(1U << 20);
    while (read(peer, buffer.data(), buffer.size()) > 0) {
    }
  });
  const std::size_t block = ostraka::disk::shard_block_bytes(ostraka::kStripeBytes, kData);
  auto* slab = static_cast<std::uint8_t*>(std::aligned_alloc(4096, block * kData));
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < objects; ++i) {
    int files[kData];
    for (unsigned d = 0; d < kData; ++d) files[d] = open(shard_path(dir, d, i).c_str(), O_RDONLY);
    for (std::size_t s = 0; s < kObjectBytes / ostraka::kStripeBytes; ++s) {
      for (unsigned d = 0; d < kData; ++d) {
        if (pread(files[d], slab + d * block, block, static_cast<off_t>(s * block)) !=
            static_cast<ssize_t>(block))
          die("pread");
        sum += ostraka::xxh3_128({slab + d * block, block}).low;
      }
      write_all(fd, slab, ostraka::kStripeBytes);
    }
    for (const int file : files) close(file);
  }
  if (sum == 1) std::abort();
  close(fd);  // the peer ends
  std::free(slab);
}

std::vector<std::unique_ptr<rocksdb::DB>> open_indexes(const std::string& dir, unsigned count) {
  std::vector<std::unique_ptr<rocksdb::DB>> out;
  for (unsigned d = 0; d < count; ++d) {
    rocksdb::Options options;
    options.create_if_missing = true;
    rocksdb::DB* db = nullptr;
    const auto status = rocksdb::DB::Open(options, dir + "/i" + std::to_string(d), &db);
    if (!status.ok()) {
      std::fprintf(stderr, "%s\n", status.ToString().c_str());
      std::exit(1);
    }
    out.emplace_back(db);
  }
  return out;
}

std::string small_key(std::size_t i) {
  char key[64];
  std::snprintf(key, sizeof key, "bucket-idk/%03zu/%08zu", i % 100, i);
  return key;
}

// Synced batches of 16, as group commit makes them with 32 clients.
void put_small(std::vector<std::unique_ptr<rocksdb::DB>>& indexes, std::size_t ops) {
  const std::string row(kRowBytes, 'r'), shard(kSmallBytes / kData, 's');
  rocksdb::WriteOptions synced;
  synced.sync = true;
  for (std::size_t i = 0; i < ops; i += 16) {
    for (auto& db : indexes) {
      rocksdb::WriteBatch batch;
      for (std::size_t j = i; j < std::min(ops, i + 16); ++j) {
        batch.Put(small_key(j), row);
        batch.Put(small_key(j) + "!", shard);
      }
      if (!db->Write(synced, &batch).ok()) die("write");
    }
  }
}

void get_small(std::vector<std::unique_ptr<rocksdb::DB>>& indexes, std::size_t ops, bool with_data) {
  std::string row, shard;
  for (std::size_t i = 0; i < ops; ++i) {
    for (auto& db : indexes) {
      if (!db->Get({}, small_key(i), &row).ok()) die("get");
      if (with_data && !db->Get({}, small_key(i) + "!", &shard).ok()) die("get");
    }
  }
}

void list_keys(std::vector<std::unique_ptr<rocksdb::DB>>& indexes) {
  std::size_t bytes = 0;
  for (auto& db : indexes) {
    std::unique_ptr<rocksdb::Iterator> it(db->NewIterator({}));
    for (it->SeekToFirst(); it->Valid(); it->Next()) bytes += it->key().size() + it->value().size();
  }
  if (bytes == 1) std::abort();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: floor put|get|put-small|get-small|head|list DIR MIB_OR_OPS\n");
    return 2;
  }
  const std::string work = argv[1], dir = argv[2];
  const std::size_t amount = std::strtoull(argv[3], nullptr, 10);
  if (work == "put" || work == "get") {
    const std::size_t objects = std::max<std::size_t>(1, (amount << 20) / kObjectBytes);
    const double start = cpu_seconds();
    work == "put" ? put_objects(dir, objects) : get_objects(dir, objects);
    const double used = cpu_seconds() - start;
    std::printf("%s %.3f s/GiB\n", work.c_str(),
                used * static_cast<double>(1U << 30) / static_cast<double>(objects * kObjectBytes));
  } else {
    auto indexes = open_indexes(dir, work == "put-small" ? kDrives : work == "get-small" ? kData : 3);
    const double start = cpu_seconds();
    if (work == "put-small")
      put_small(indexes, amount);
    else if (work == "get-small" || work == "head")
      get_small(indexes, amount, work == "get-small");
    else if (work == "list")
      list_keys(indexes);
    else
      return 2;
    const double used = cpu_seconds() - start;
    const double unit = work == "list" ? 100000.0 : 1000.0;
    std::printf("%s %.4f %s\n", work.c_str(), used / static_cast<double>(amount) * unit,
                work == "list" ? "s/100k-keys" : "s/1000");
  }
  while (wait(nullptr) > 0) {
  }
  return 0;
}
