// A FUSE file system for power cuts: everything lies in memory, and what was not synced is gone after one.
//
//   forgetful_fs FOLDER     mounts there and obeys standard input, a line a command, each answered by a line:
//     freeze N hang|fail    after N more changes (writes, creations, removals, syncs) no change gets through
//     any
//                           more: calls hang, as on a machine without power, or fail with EIO
//     away NAME             everything in this folder of the root fails with EIO, as on a drive that died
//     back NAME             it lives again
//     state                 "running", or "frozen SECONDS" with the time of the freeze on the monotonic clock
//     cut SEED all|some     unmounts, forgets (Forget in forgetful_store.h), mounts again; tells the losses
//   The end of the input unmounts and ends the process.
//
// One thread, no cache between it and the kernel's page cache, which writes through.
#define FUSE_USE_VERSION 314
#include <fuse3/fuse_lowlevel.h>
#include <poll.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <optional>
#include <set>
#include <sstream>

#include "forgetful_store.h"

namespace {

using forgetful::Ino;
using forgetful::Node;
using forgetful::Store;

constexpr double kForEver = 1e9;  // nobody but the kernel itself changes anything
constexpr std::uint64_t kBlocks = 16ULL << 20;

struct Freeze {
  std::optional<std::uint64_t> changes_left;  // until it begins
  bool hang = false;
  bool frozen = false;
  timespec since{};
};

struct Disk {
  Store store;
  Freeze freeze;
  std::set<Ino> away;
};

Disk& disk_of(fuse_req_t request) {
  return *static_cast<Disk*>(fuse_req_userdata(request));
}
Store& store_of(fuse_req_t request) {
  return disk_of(request).store;
}

// False: the call is answered already, since nothing can be changed any more.
bool may_change(fuse_req_t request) {
  Freeze& freeze = disk_of(request).freeze;
  if (!freeze.frozen && freeze.changes_left && (*freeze.changes_left)-- == 0) {
    freeze.frozen = true;
    clock_gettime(CLOCK_MONOTONIC, &freeze.since);
  }
  if (freeze.frozen) fuse_reply_err(request, EIO);
  return !freeze.frozen;
}

// nullptr: the call is answered already.
Node* node_of(fuse_req_t request, fuse_ino_t ino) {
  Node* node = store_of(request).find(ino);
  const bool away = node != nullptr && disk_of(request).away.contains(node->top);
  if (node == nullptr || away) fuse_reply_err(request, away ? EIO : ESTALE);
  return away ? nullptr : node;
}

struct stat attributes(const Node& node) {
  struct stat out{};
  out.st_ino = node.ino;
  out.st_mode = node.mode;
  out.st_nlink = node.is_folder() ? 2 : 1;
  out.st_uid = getuid();
  out.st_gid = getgid();
  out.st_size = static_cast<off_t>(node.bytes.size());
  out.st_blksize = forgetful::kPageBytes;
  out.st_blocks = static_cast<blkcnt_t>((node.bytes.size() + 511) / 512);
  out.st_atim = out.st_mtim = out.st_ctim = node.changed;
  return out;
}

fuse_entry_param entry(const Node& node) {
  fuse_entry_param out{};
  out.ino = node.ino;
  out.attr = attributes(node);
  out.attr_timeout = out.entry_timeout = kForEver;
  return out;
}

void reply_attributes(fuse_req_t request, const Node& node) {
  const struct stat out = attributes(node);
  fuse_reply_attr(request, &out, kForEver);
}

void on_lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
  Node* folder = node_of(request, parent);
  if (folder == nullptr) return;
  const Node* node = store_of(request).lookup(*folder, name);
  if (node == nullptr) {
    fuse_reply_err(request, ENOENT);
    return;
  }
  const fuse_entry_param out = entry(*node);
  fuse_reply_entry(request, &out);
}

void on_getattr(fuse_req_t request, fuse_ino_t ino, fuse_file_info*) {
  const Node* node = node_of(request, ino);
  if (node != nullptr) reply_attributes(request, *node);
}

void on_setattr(fuse_req_t request, fuse_ino_t ino, struct stat* wanted, int what, fuse_file_info*) {
  Node* node = node_of(request, ino);
  if (node == nullptr) return;
  if ((what & FUSE_SET_ATTR_SIZE) != 0) {
    if (!may_change(request)) return;
    store_of(request).resize(*node, static_cast<std::size_t>(wanted->st_size));
  }
  if ((what & FUSE_SET_ATTR_MODE) != 0) node->mode = (node->mode & S_IFMT) | (wanted->st_mode & 07777);
  reply_attributes(request, *node);
}

Node* make(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode) {
  Node* folder = node_of(request, parent);
  if (folder == nullptr || !may_change(request)) return nullptr;
  Node* made = nullptr;
  const int error = store_of(request).make(*folder, name, mode, made);
  if (error != 0) fuse_reply_err(request, error);
  return made;
}

void on_mkdir(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode) {
  const Node* made = make(request, parent, name, S_IFDIR | (mode & 07777));
  if (made == nullptr) return;
  const fuse_entry_param out = entry(*made);
  fuse_reply_entry(request, &out);
}

void set_modes(fuse_file_info& file) {
  file.keep_cache = 1;
  file.noflush = 1;  // or a killed process that closes its files waits for as long as calls hang
}

void on_create(fuse_req_t request, fuse_ino_t parent, const char* name, mode_t mode, fuse_file_info* file) {
  Node* made = make(request, parent, name, S_IFREG | (mode & 07777));
  if (made == nullptr) return;
  store_of(request).open(*made);
  set_modes(*file);
  const fuse_entry_param out = entry(*made);
  fuse_reply_create(request, &out, file);
}

void remove(fuse_req_t request, fuse_ino_t parent, const char* name, bool is_folder) {
  Node* folder = node_of(request, parent);
  if (folder != nullptr && may_change(request))
    fuse_reply_err(request, store_of(request).remove(*folder, name, is_folder));
}
void on_unlink(fuse_req_t request, fuse_ino_t parent, const char* name) {
  remove(request, parent, name, false);
}
void on_rmdir(fuse_req_t request, fuse_ino_t parent, const char* name) {
  remove(request, parent, name, true);
}

void on_rename(fuse_req_t request, fuse_ino_t parent, const char* name, fuse_ino_t new_parent,
               const char* new_name, unsigned flags) {
  Node* from = node_of(request, parent);
  Node* to = from == nullptr ? nullptr : node_of(request, new_parent);
  if (to == nullptr || !may_change(request)) return;
  const bool no_replace = flags == RENAME_NOREPLACE;
  const bool known = flags == 0 || no_replace;
  fuse_reply_err(request, known ? store_of(request).rename(*from, name, *to, new_name, !no_replace) : EINVAL);
}

void on_open(fuse_req_t request, fuse_ino_t ino, fuse_file_info* file) {
  Node* node = node_of(request, ino);
  if (node == nullptr) return;
  store_of(request).open(*node);
  set_modes(*file);
  fuse_reply_open(request, file);
}

void on_release(fuse_req_t request, fuse_ino_t ino, fuse_file_info*) {
  Store& store = store_of(request);
  Node* node = store.find(ino);
  if (node != nullptr && node->opened > 0) store.close(*node);
  fuse_reply_err(request, 0);
}

void on_read(fuse_req_t request, fuse_ino_t ino, std::size_t size, off_t offset, fuse_file_info*) {
  const Node* node = node_of(request, ino);
  if (node == nullptr) return;
  const std::string_view bytes = store_of(request).read(*node, static_cast<std::size_t>(offset), size);
  fuse_reply_buf(request, bytes.data(), bytes.size());
}

void on_write(fuse_req_t request, fuse_ino_t ino, const char* bytes, std::size_t size, off_t offset,
              fuse_file_info*) {
  Node* node = node_of(request, ino);
  if (node == nullptr || !may_change(request)) return;
  store_of(request).write(*node, static_cast<std::size_t>(offset), {bytes, size});
  fuse_reply_write(request, size);
}

void on_fallocate(fuse_req_t request, fuse_ino_t ino, int mode, off_t offset, off_t length, fuse_file_info*) {
  constexpr int kKeepSize = 1;
  Node* node = node_of(request, ino);
  if (node == nullptr || !may_change(request)) return;
  const auto end = static_cast<std::size_t>(offset + length);
  if (mode == 0 && end > node->bytes.size()) store_of(request).resize(*node, end);
  fuse_reply_err(request, mode == 0 || mode == kKeepSize ? 0 : EOPNOTSUPP);
}

void on_fsync(fuse_req_t request, fuse_ino_t ino, int, fuse_file_info*) {
  Node* node = node_of(request, ino);
  if (node == nullptr || !may_change(request)) return;
  store_of(request).sync(*node);
  fuse_reply_err(request, 0);
}

void on_readdir(fuse_req_t request, fuse_ino_t ino, std::size_t size, off_t offset, fuse_file_info*) {
  const Node* folder = node_of(request, ino);
  if (folder == nullptr) return;
  std::string out(size, '\0');
  std::size_t used = 0;
  off_t at = 0;
  for (const auto& [name, child] : folder->now) {
    if (at++ < offset) continue;
    struct stat about{};
    about.st_ino = child;
    about.st_mode = store_of(request).find(child)->mode;
    const std::size_t needed =
        fuse_add_direntry(request, out.data() + used, size - used, name.c_str(), &about, at);
    if (needed > size - used) break;
    used += needed;
  }
  fuse_reply_buf(request, out.data(), used);
}

void on_statfs(fuse_req_t request, fuse_ino_t) {
  struct statvfs out{};
  out.f_bsize = out.f_frsize = forgetful::kPageBytes;
  out.f_blocks = out.f_bfree = out.f_bavail = kBlocks;
  out.f_namemax = 255;
  fuse_reply_statfs(request, &out);
}

fuse_lowlevel_ops operations() {
  fuse_lowlevel_ops out{};
  out.lookup = on_lookup;
  out.getattr = on_getattr;
  out.setattr = on_setattr;
  out.mkdir = on_mkdir;
  out.create = on_create;
  out.unlink = on_unlink;
  out.rmdir = on_rmdir;
  out.rename = on_rename;
  out.open = on_open;
  out.opendir = on_open;
  out.release = on_release;
  out.releasedir = on_release;
  out.read = on_read;
  out.write = on_write;
  out.fallocate = on_fallocate;
  out.fsync = on_fsync;
  out.fsyncdir = on_fsync;
  out.readdir = on_readdir;
  out.statfs = on_statfs;
  return out;
}

class Mount {
 public:
  Mount(Disk& disk, const char* folder) {
    std::array words{std::string("forgetful_fs"), std::string("-ofsname=forgetful,default_permissions")};
    std::array<char*, 2> pointers{words[0].data(), words[1].data()};
    fuse_args arguments = FUSE_ARGS_INIT(static_cast<int>(pointers.size()), pointers.data());
    const fuse_lowlevel_ops ops = operations();
    session_ = fuse_session_new(&arguments, &ops, sizeof ops, &disk);
    fuse_opt_free_args(&arguments);
    mounted_ = session_ != nullptr && fuse_session_mount(session_, folder) == 0;
  }
  ~Mount() {
    if (mounted_) fuse_session_unmount(session_);
    if (session_ != nullptr) fuse_session_destroy(session_);
    free(buffer_.mem);  // NOLINT: libfuse allocated it
  }
  Mount(const Mount&) = delete;
  Mount& operator=(const Mount&) = delete;

  bool mounted() const { return mounted_ && fuse_session_exited(session_) == 0; }
  int descriptor() const { return fuse_session_fd(session_); }
  void serve_one() {
    const int got = fuse_session_receive_buf(session_, &buffer_);
    if (got > 0) fuse_session_process_buf(session_, &buffer_);
  }

 private:
  fuse_session* session_ = nullptr;
  bool mounted_ = false;
  fuse_buf buffer_{};
};

class Commands {
 public:
  Commands(Disk& disk, const char* folder)
      : disk_(disk), folder_(folder), mount_(std::make_unique<Mount>(disk, folder)) {}

  int run() {
    if (!mount_->mounted()) return 1;
    std::cout << "mounted" << std::endl;
    for (;;) {
      const bool answers = !(disk_.freeze.frozen && disk_.freeze.hang);
      std::array<pollfd, 2> ready{pollfd{STDIN_FILENO, POLLIN, 0}, pollfd{mount_->descriptor(), POLLIN, 0}};
      if (poll(ready.data(), answers ? 2 : 1, -1) < 0 && errno != EINTR) return 1;
      if (answers && ready[1].revents != 0) mount_->serve_one();
      if (!mount_->mounted()) return 1;  // by somebody else
      if (ready[0].revents == 0) continue;
      std::string line;
      if (!std::getline(std::cin, line)) return 0;
      std::istringstream words(line);
      std::cout << obey(words) << std::endl;
      if (!mount_->mounted()) return 1;
    }
  }

 private:
  std::string obey(std::istream& words) {
    std::string command, how;
    std::uint64_t number = 0;
    words >> command;
    if (command == "state") return state();
    if (command == "away" || command == "back") return move(words, command == "away");
    if (!(words >> number >> how)) return "what?";
    if (command == "freeze" && (how == "hang" || how == "fail")) {
      disk_.freeze = Freeze{.changes_left = number, .hang = how == "hang"};
      return "ok";
    }
    if (command == "cut" && (how == "all" || how == "some")) return cut(number, how == "all");
    return "what?";
  }

  std::string move(std::istream& words, bool away) {
    std::string name;
    words >> name;
    const Node* drive = disk_.store.lookup(*disk_.store.find(forgetful::kRoot), name);
    if (drive == nullptr) return "what?";
    if (away) {
      disk_.away.insert(drive->ino);
    } else {
      disk_.away.erase(drive->ino);
    }
    return "ok";
  }

  std::string state() const {
    if (!disk_.freeze.frozen) return "running";
    const timespec& since = disk_.freeze.since;
    return "frozen " +
           std::to_string(static_cast<double>(since.tv_sec) + static_cast<double>(since.tv_nsec) * 1e-9);
  }

  std::string cut(std::uint64_t seed, bool all) {
    mount_.reset();  // calls that hang end here
    std::mt19937_64 random(seed);
    const auto losses = disk_.store.cut(random, all ? forgetful::Forget::all : forgetful::Forget::some);
    disk_.freeze = Freeze();
    disk_.away.clear();
    mount_ = std::make_unique<Mount>(disk_, folder_);
    std::ostringstream out;
    out << "pages lost " << losses.pages_lost << " kept " << losses.pages_kept << " torn "
        << losses.pages_torn << " entries lost " << losses.entries_lost << " kept " << losses.entries_kept;
    return out.str();
  }

  Disk& disk_;
  const char* const folder_;
  std::unique_ptr<Mount> mount_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: forgetful_fs FOLDER\n");
    return 2;
  }
  Disk disk;
  return Commands(disk, argv[1]).run();
}
