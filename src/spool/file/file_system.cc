#include "spool/file/file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace mansio::spool {
namespace {

ErrorCode last_error() { return {errno, boost::system::system_category()}; }

class PosixFile final : public File {
 public:
  PosixFile(int descriptor, bool sync) : descriptor_(descriptor), sync_(sync) {}

  ~PosixFile() override { ::close(descriptor_); }

  Result<void> write_at(std::uint64_t offset, std::string_view octets) override {
    while (!octets.empty()) {
      const ssize_t n =
          ::pwrite(descriptor_, octets.data(), octets.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return n < 0 ? last_error() : ErrorCode(EIO, boost::system::system_category());
      octets.remove_prefix(static_cast<std::size_t>(n));
      offset += static_cast<std::uint64_t>(n);
    }
    return {};
  }

  Result<std::size_t> read_at(std::uint64_t offset, std::span<char> buffer) override {
    std::size_t done = 0;
    while (done < buffer.size()) {
      const ssize_t n = ::pread(descriptor_, buffer.data() + done, buffer.size() - done,
                                static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return last_error();
      if (n == 0) break;
      done += static_cast<std::size_t>(n);
    }
    return done;
  }

  Result<void> sync() override {
    if (sync_ && ::fdatasync(descriptor_) != 0) return last_error();
    return {};
  }

  Result<void> allocate(std::uint64_t size) override {
    const int error = ::posix_fallocate(descriptor_, 0, static_cast<off_t>(size));
    if (error != 0) return ErrorCode(error, boost::system::system_category());
    return {};
  }

  Result<void> truncate(std::uint64_t size) override {
    if (::ftruncate(descriptor_, static_cast<off_t>(size)) != 0) return last_error();
    return {};
  }

  Result<std::uint64_t> size() override {
    struct stat facts {};

    if (::fstat(descriptor_, &facts) != 0) return last_error();
    return static_cast<std::uint64_t>(facts.st_size);
  }

 private:
  int descriptor_;
  bool sync_;
};

class PosixFileSystem final : public FileSystem {
 public:
  explicit PosixFileSystem(bool sync) : sync_(sync) {}

  Result<std::unique_ptr<File>> open(const std::filesystem::path& path, OpenMode mode) override {
    int flags = O_CLOEXEC | O_NOFOLLOW;
    switch (mode) {
      case OpenMode::read:
        flags |= O_RDONLY;
        break;
      case OpenMode::update:
        flags |= O_RDWR;
        break;
      case OpenMode::create:
        flags |= O_RDWR | O_CREAT;
        break;
      case OpenMode::create_new:
        flags |= O_RDWR | O_CREAT | O_EXCL;
        break;
    }
    const int descriptor = ::open(path.c_str(), flags, 0600);
    if (descriptor < 0) return last_error();
    return std::unique_ptr<File>(std::make_unique<PosixFile>(descriptor, sync_));
  }

  Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return last_error();
    return {};
  }

  Result<void> unlink(const std::filesystem::path& path) override {
    if (::unlink(path.c_str()) != 0) return last_error();
    return {};
  }

  Result<void> sync_directory(const std::filesystem::path& path) override {
    if (!sync_) return {};
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return last_error();
    const int status = ::fsync(descriptor);
    const ErrorCode error = last_error();
    ::close(descriptor);
    if (status != 0) return error;
    return {};
  }

  Result<void> make_directory(const std::filesystem::path& path) override {
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return last_error();
    return {};
  }

  Result<std::vector<std::string>> list(const std::filesystem::path& path) override {
    DIR* folder = ::opendir(path.c_str());
    if (folder == nullptr) return last_error();
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(folder)) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
    }
    const ErrorCode error = last_error();
    ::closedir(folder);
    if (error) return error;
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<bool> exists(const std::filesystem::path& path) override {
    struct stat facts {};

    if (::lstat(path.c_str(), &facts) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    const ErrorCode error = last_error();
    return Result<bool>(boost::system::in_place_error, error);
  }

  Result<FreeSpace> free_space(const std::filesystem::path& path) override {
    struct statvfs facts {};

    if (::statvfs(path.c_str(), &facts) != 0) return last_error();
    return FreeSpace{static_cast<std::uint64_t>(facts.f_bavail) * facts.f_frsize,
                     static_cast<std::uint64_t>(facts.f_blocks) * facts.f_frsize};
  }

 private:
  bool sync_;
};

}  // namespace

std::shared_ptr<FileSystem> make_posix_file_system(bool sync) {
  return std::make_shared<PosixFileSystem>(sync);
}

Result<std::string> read_whole(FileSystem& files, const std::filesystem::path& path,
                               std::uint64_t limit) {
  auto file = files.open(path, OpenMode::read);
  if (!file) return file.error();
  auto size = (*file)->size();
  if (!size) return size.error();
  if (*size > limit) return ErrorCode(EFBIG, boost::system::system_category());
  std::string octets(static_cast<std::size_t>(*size), '\0');
  auto got = (*file)->read_at(0, octets);
  if (!got) return got.error();
  octets.resize(*got);
  return octets;
}

Result<void> replace_durably(FileSystem& files, const std::filesystem::path& path,
                             std::string_view octets) {
  const std::filesystem::path draft = path.string() + ".tmp";
  {
    auto file = files.open(draft, OpenMode::create);
    if (!file) return file.error();
    if (auto done = (*file)->truncate(0); !done) return done.error();
    if (auto done = (*file)->write_at(0, octets); !done) return done.error();
    if (auto done = (*file)->sync(); !done) return done.error();
  }
  if (auto done = files.rename(draft, path); !done) return done.error();
  return files.sync_directory(path.parent_path());
}

}  // namespace mansio::spool
