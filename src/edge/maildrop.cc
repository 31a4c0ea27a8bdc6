#include "edge/maildrop.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

#include "base/checksum.h"
#include "base/log.h"
#include "edge/receiver.h"
#include "edge/submission_receiver.h"
#include "message/dropped_message.h"

namespace mansio::edge {
namespace {

namespace asio = boost::asio;

constexpr Duration interval = std::chrono::seconds(5);
constexpr std::size_t files_per_pass = 10'000;  // beside those that are known to be bad
constexpr std::size_t at_a_time = 16;           // messages being taken: enough for one group commit
constexpr std::size_t piece_size = 64 << 10;
constexpr std::string_view unfinished_prefix = "tmp-";
/// A sender that has not finished its file by then is dead.
constexpr Duration unfinished_time = std::chrono::hours(1);

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

  bool good() const { return descriptor_ >= 0; }

  /// Fills `size` octets of `buffer`, or as many as there are.
  bool read(std::string& buffer, std::size_t size) const {
    buffer.resize(size);
    std::size_t got = 0;
    while (got < size) {
      const ssize_t count = ::read(descriptor_, buffer.data() + got, size - got);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return false;
      if (count == 0) break;
      got += static_cast<std::size_t>(count);
    }
    buffer.resize(got);
    return true;
  }

 private:
  int descriptor_;
};

std::string last_error() { return std::generic_category().message(errno); }

/// Whether what kept a file from being opened is the file's own: a link, a socket, not readable.
/// Everything else (too many open files, a disk with errors) may be over at the next pass.
bool is_lasting(int error) {
  return error == ELOOP || error == ENXIO || error == EACCES || error == EPERM;
}

Time modified(const struct stat& status) {
  return Time(std::chrono::seconds(status.st_mtim.tv_sec));
}

/// Null: a file that may be read. What is wrong with it otherwise, for people.
const char* why_not_plain(const struct stat& status) {
  if (!S_ISREG(status.st_mode)) return "no regular file";
  if (status.st_nlink != 1) return "a file with several links";
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) return "others than its owner may write to it";
  return nullptr;
}

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/// An Admission that gives one id to whatever is admitted.
class UnderId final : public Admission {
 public:
  UnderId(Admission& real, const QueueId& id) : real_(real), id_(id) {}

  Readiness readiness() const override { return real_.readiness(); }

  QueueId new_id() override { return id_; }

  std::unique_ptr<spool::ContentWriter> open_content(const QueueId& content_id) override {
    return real_.open_content(content_id);
  }

  Task<Admitted> admit(Submission submission) override {
    return real_.admit(std::move(submission));
  }

  bool reserve_memory(std::uint64_t octets) override { return real_.reserve_memory(octets); }

  void release_memory(std::uint64_t octets) override { real_.release_memory(octets); }

  Task<KnownMessage> known(QueueId id) override { return real_.known(id); }

  Task<spool::Status> record(spool::Record record) override {
    return real_.record(std::move(record));
  }

 private:
  Admission& real_;
  const QueueId id_;
};

}  // namespace

/// The open folder: whatever its path comes to name meanwhile, we stay in it.
class Maildrop::Folder {
 public:
  explicit Folder(const std::string& path)
      : file_(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) {}

  bool good() const { return file_.good(); }

  int get() const { return file_.get(); }

  /// Names, at most `files_per_pass` of messages and as many of unfinished files beside those that
  /// are known to be bad: however many of these lie here, mail behind them is found. False: it
  /// cannot be read; errno says why.
  bool list(std::vector<std::string>& names, const std::map<std::string, std::string>& bad) const {
    const int copy = ::openat(file_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* directory = copy < 0 ? nullptr : ::fdopendir(copy);
    if (directory == nullptr) {
      if (copy >= 0) ::close(copy);
      return false;
    }
    std::size_t messages = 0, unfinished = 0;
    while (messages < files_per_pass) {
      const dirent* entry = ::readdir(directory);
      if (entry == nullptr) break;
      std::string name = entry->d_name;
      if (name == "." || name == "..") continue;
      if (!bad.contains(name)) {
        const bool whole = !name.starts_with(unfinished_prefix);
        if (++(whole ? messages : unfinished) > files_per_pass) continue;
      }
      names.push_back(std::move(name));
    }
    ::closedir(directory);
    return true;
  }

 private:
  File file_;
};

struct Maildrop::Candidate {
  std::string name;
  QueueId id;

  struct stat status {};

  /// What a change of the file would change.
  std::string appearance() const {
    return std::to_string(status.st_ino) + " " + std::to_string(status.st_size) + " " +
           std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec) +
           " " + std::to_string(status.st_mode) + " " + std::to_string(status.st_nlink);
  }
};

Maildrop::Maildrop(Ports ports, std::shared_ptr<const settings::Settings> settings)
    : ports_(std::move(ports)),
      group_(ports_.executor),
      settings_(std::move(settings)),
      changed_(ports_.executor) {}

Maildrop::~Maildrop() = default;

void Maildrop::start() {
  asio::post(ports_.executor, [this] {
    auto watching = watch();
    group_.spawn("maildrop", std::move(watching));
  });
}

void Maildrop::reload(std::shared_ptr<const settings::Settings> settings) {
  const std::lock_guard lock(mutex_);
  settings_ = std::move(settings);
}

Task<void> Maildrop::stop(SteadyTime deadline) {
  auto stopping = stop_here(deadline);
  auto spawned = asio::co_spawn(ports_.executor, std::move(stopping), asio::use_awaitable);
  co_await std::move(spawned);
}

Task<void> Maildrop::stop_here(SteadyTime deadline) {
  stopping_ = true;
  changed_.notify_all();
  group_.close();
  const auto timer = ports_.clock.make_timer(ports_.executor);
  timer->start(deadline, [this] { group_.cancel(); });
  co_await group_.wait();
}

Task<void> Maildrop::watch() {
  const auto timer = ports_.clock.make_timer(ports_.executor);
  while (!stopping_) {
    std::shared_ptr<const settings::Settings> settings;
    {
      const std::lock_guard lock(mutex_);
      settings = settings_;
    }
    if (!settings->maildrop.path.empty() && ports_.admission.readiness() == Readiness::ready) {
      auto passing = pass(settings);
      co_await std::move(passing);
    }
    const SteadyTime next = ports_.clock.steady_now() + interval;
    timer->start(next, [this] { changed_.notify_all(); });
    while (!stopping_ && ports_.clock.steady_now() < next) co_await changed_.wait();
  }
}

Task<void> Maildrop::pass(std::shared_ptr<const settings::Settings> settings) {
  const auto folder = std::make_shared<const Folder>(settings->maildrop.path);
  // What was over a limit may not be so any more.
  if (settings != judged_by_) known_bad_.clear();
  judged_by_ = settings;
  std::vector<std::string> names;
  const std::string trouble = folder->good() && folder->list(names, known_bad_) ? "" : last_error();
  if (trouble != trouble_ && !trouble.empty()) {
    log::error("maildrop_unusable")
        .field("folder", settings->maildrop.path)
        .field("error", trouble);
  }
  trouble_ = trouble;
  seen_bad_.clear();
  told_of_failure_ = false;
  for (std::string& name : names) {
    if (stopping_ || ports_.admission.readiness() != Readiness::ready) break;
    Candidate candidate;
    candidate.name = std::move(name);
    if (::fstatat(folder->get(), candidate.name.c_str(), &candidate.status, AT_SYMLINK_NOFOLLOW) !=
        0) {
      continue;  // gone meanwhile
    }
    if (candidate.name.starts_with(unfinished_prefix)) {
      const Duration age = ports_.clock.now() - modified(candidate.status);
      if (age > unfinished_time) leave(candidate, "never finished");
      continue;
    }
    // What was logged and has not changed since is not read again.
    const auto bad = known_bad_.find(candidate.name);
    if (bad != known_bad_.end() && bad->second == candidate.appearance()) {
      seen_bad_.insert(*bad);
      continue;
    }
    const auto id = QueueId::parse(candidate.name);
    if (!id || id->is_nil() || id->to_string() != candidate.name) {
      leave(candidate, "no message of ours");
    } else if (const char* why = why_not_plain(candidate.status)) {
      leave(candidate, why);
    } else {
      candidate.id = *id;
      while (busy_ >= at_a_time) co_await changed_.wait();
      ++busy_;
      auto taking = take(folder, std::move(candidate), settings);
      if (!group_.spawn("maildrop_message", std::move(taking))) --busy_;
    }
  }
  while (busy_ > 0) co_await changed_.wait();
  known_bad_ = seen_bad_;
  statistics_.left = known_bad_.size();
}

void Maildrop::leave(const Candidate& candidate, const std::string& why) {
  const std::string appearance = candidate.appearance();
  const auto known = known_bad_.find(candidate.name);
  const bool is_new = known == known_bad_.end() || known->second != appearance;
  seen_bad_[candidate.name] = appearance;
  if (!is_new) return;
  log::warning("maildrop_left")
      .field("file", candidate.name)
      .field("user", local_user(candidate.status.st_uid))
      .field("reason", why);
}

Task<void> Maildrop::take(std::shared_ptr<const Folder> folder, Candidate candidate,
                          std::shared_ptr<const settings::Settings> settings) {
  struct Leaving {
    explicit Leaving(Maildrop& its_maildrop) : maildrop(its_maildrop) {}

    Leaving(const Leaving&) = delete;
    Leaving& operator=(const Leaving&) = delete;

    ~Leaving() {
      --maildrop.busy_;
      maildrop.changed_.notify_all();
    }

    Maildrop& maildrop;
  };

  const Leaving leaving(*this);
  auto asking = ports_.known(candidate.id);
  const Known known = co_await std::move(asking);
  if (known == Known::unsure) co_return;  // the next pass asks again
  std::string why;
  Taken taken = Taken::done;
  if (known == Known::no) {
    auto admitting = admit(*folder, candidate, *settings, why);
    taken = co_await std::move(admitting);
  }
  if (taken == Taken::never) leave(candidate, why);
  if (taken != Taken::done) co_return;
  ++statistics_.accepted;

  // Its owner may have put another file in its place; that one is none of ours yet.
  struct stat now {};

  if (::fstatat(folder->get(), candidate.name.c_str(), &now, AT_SYMLINK_NOFOLLOW) != 0 ||
      !same_file(now, candidate.status)) {
    co_return;
  }
  if (::unlinkat(folder->get(), candidate.name.c_str(), 0) != 0) {
    why = "it was accepted, but cannot be removed: " + last_error();
    leave(candidate, why);
  }
}

/// Hands one file's message to the queue. `why` says what is wrong where it is never to be taken.
Task<Maildrop::Taken> Maildrop::admit(const Folder& folder, const Candidate& candidate,
                                      const settings::Settings& settings, std::string& why) {
  const File file(::openat(folder.get(), candidate.name.c_str(),
                           O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));

  struct stat status {};

  if (!file.good() || ::fstat(file.get(), &status) != 0) {
    const int error = errno;
    why = std::generic_category().message(error);
    if (is_lasting(error)) co_return Taken::never;
    if (error != ENOENT && !std::exchange(told_of_failure_, true)) {
      log::warning("maildrop_read_failed").field("file", candidate.name).field("error", why);
    }
    co_return Taken::later;
  }
  if (!same_file(status, candidate.status)) co_return Taken::later;
  if (const char* odd = why_not_plain(status)) {
    why = odd;
    co_return Taken::never;
  }

  std::string head;
  if (!file.read(head, drop_prefix_size)) co_return Taken::later;
  const std::optional<DropPrefix> prefix = parse_drop_prefix(head, why);
  if (!prefix) co_return Taken::never;
  if (prefix->file_size() != static_cast<std::uint64_t>(status.st_size)) {
    why = "not whole";
    co_return Taken::never;
  }
  if (prefix->content_size > settings.limits.message) {
    why = "larger than limits.message";
    co_return Taken::never;
  }
  std::string piece;
  if (!file.read(piece, prefix->head_size)) co_return Taken::later;
  std::optional<Envelope> envelope = decode_drop_head(head + piece, why);
  if (!envelope) co_return Taken::never;
  envelope->origin.protocol = "local";
  envelope->origin.user = local_user(status.st_uid);

  UnderId admission(ports_.admission, candidate.id);
  const std::string& hostname = settings.server.hostname;
  MissingFields missing =
      missing_fields(*envelope, hostname, candidate.id.to_string(), ports_.clock.now());
  ReceiverOptions options;
  options.hostname = hostname;
  options.hops = settings.limits.hops;
  options.header = settings.limits.header;
  options.header_lines = settings.limits.header_lines;
  options.line = settings.limits.line;
  options.content_in_memory = settings.limits.content_in_memory;
  auto receiver = std::make_unique<Receiver>(admission, received_, ports_.clock, std::move(options),
                                             std::move(*envelope));
  SubmissionReceiver submission(std::move(receiver), std::move(missing), settings.limits.header);
  std::uint32_t checksum = 0;
  std::optional<Reply> refusal;
  for (std::uint64_t left = prefix->content_size; left > 0 && !refusal;) {
    const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(left, piece_size));
    if (!file.read(piece, size) || piece.size() != size) co_return Taken::later;
    if (piece.find('\0') != piece.npos) {
      why = "its content holds a NUL (RFC 5321 section 4.5.2)";
      co_return Taken::never;
    }
    left -= size;
    checksum = crc32c(piece, checksum);
    auto writing = submission.write(piece);
    refusal = co_await std::move(writing);
  }
  if (!refusal) {
    if (!file.read(piece, drop_checksum_size)) co_return Taken::later;
    if (decode_drop_checksum(piece) != checksum) {
      why = "damaged";
      co_return Taken::never;
    }
    auto finishing = submission.finish();
    const smtp::ContentVerdict verdict = co_await std::move(finishing);
    const auto* replies = std::get_if<std::vector<Reply>>(&verdict);
    // Nobody knows whether it was committed: the next pass asks the queue.
    if (replies == nullptr || replies->empty()) co_return Taken::later;
    if (replies->front().positive()) co_return Taken::done;
    refusal = replies->front();
  }
  why = refusal->to_string();
  co_return refusal->permanent() ? Taken::never : Taken::later;
}

}  // namespace mansio::edge
