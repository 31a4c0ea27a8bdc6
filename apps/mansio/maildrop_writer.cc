#include "mansio/maildrop_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <system_error>

#include "base/checksum.h"
#include "message/dropped_message.h"

namespace mansio::cli {
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

/// A descriptor, closed at its end.
class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}

  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

/// A file under its temporary name, which goes unless the file is kept.
class Unfinished {
 public:
  Unfinished(int folder, std::string name)
      : folder_(folder),
        name_(std::move(name)),
        file_(::openat(folder, name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                       S_IRUSR | S_IWUSR)) {
    if (file_.get() < 0) fail(name_);
  }

  ~Unfinished() {
    if (!kept_) ::unlinkat(folder_, name_.c_str(), 0);
  }

  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;

  void write(std::string_view octets) const {
    while (!octets.empty()) {
      const ssize_t count = ::write(file_.get(), octets.data(), octets.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) fail(name_);
      octets.remove_prefix(static_cast<std::size_t>(count));
    }
  }

  /// Who reads the folder must be able to read the file: its group, where the folder gives its own
  /// to what is made in it, else everybody who can guess 80 random bits.
  void make_readable(const struct stat& folder) const {
    struct stat own {};

    if (::fstat(file_.get(), &own) != 0) fail(name_);
    const bool owned = own.st_uid == folder.st_uid || own.st_gid == folder.st_gid;
    const mode_t mode = S_IRUSR | S_IRGRP | (owned ? 0 : S_IROTH);
    if (::fchmod(file_.get(), mode) != 0) fail(name_);
  }

  void sync() const {
    if (::fsync(file_.get()) != 0) fail(name_);
  }

  void keep_as(const std::string& name) {
    if (::renameat(folder_, name_.c_str(), folder_, name.c_str()) != 0) fail(name);
    name_ = name;
    kept_ = true;
  }

  /// Where the folder may not be opened for reading, it cannot be synced by itself.
  void sync_file_system() const {
    if (::syncfs(file_.get()) != 0) fail(name_);
  }

  void take_back() { kept_ = false; }

 private:
  const int folder_;
  std::string name_;
  File file_;
  bool kept_ = false;
};

}  // namespace

void write_drop(const std::string& folder_name, const QueueId& id, const Envelope& envelope,
                const std::string& content) {
  const File folder(::open(folder_name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));

  struct stat status {};

  if (folder.get() < 0 || ::fstat(folder.get(), &status) != 0) fail(folder_name);
  const std::string name = id.to_string();
  Unfinished file(folder.get(), "tmp-" + name);
  file.write(encode_drop_head(envelope, content.size()));
  file.write(content);
  file.write(encode_drop_checksum(crc32c(content)));
  file.make_readable(status);
  file.sync();
  file.keep_as(name);
  const File readable(::openat(folder.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  try {
    if (readable.get() < 0) {
      file.sync_file_system();
    } else if (::fsync(readable.get()) != 0) {
      fail(folder_name);
    }
  } catch (const std::system_error&) {
    file.take_back();  // nobody was told that it is there
    throw;
  }
}

}  // namespace mansio::cli
