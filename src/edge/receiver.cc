#include "edge/receiver.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include "base/event.h"
#include "base/log.h"
#include "edge/received_line.h"
#include "message/reencode.h"

namespace mansio::edge {
namespace {

namespace asio = boost::asio;

constexpr std::uint64_t reservation_octets_min = 16 * 1024;

// Built here rather than in place: g++ 12 destroys braced aggregates in coroutines wrongly.
Reply storage_error() { return {451, {4, 3, 0}, "Local storage error, try again later"}; }

Reply not_shortened(std::size_t line_max, const std::string& why) {
  return {554,
          {5, 6, 0},
          "Message holds a line of more than " + std::to_string(line_max) + " octets and " + why};
}

Reply no_room() { return {452, {4, 3, 1}, "Insufficient storage, try again later"}; }

}  // namespace

/// One piece on its way to the spool; shared with the callback, which may come after us.
struct Receiver::Append {
  explicit Append(asio::any_io_executor executor) : changed(std::move(executor)) {}

  Event changed;
  std::optional<Result<void>> result;
};

Receiver::Receiver(Admission& admission, EdgeStatistics& statistics, Clock& clock,
                   ReceiverOptions options, Envelope envelope)
    : admission_(admission),
      statistics_(statistics),
      options_(std::move(options)),
      envelope_(std::move(envelope)),
      id_(admission.new_id()),
      recipients_(envelope_.recipients.size()),
      client_(envelope_.origin.client_address) {
  memory_ = received_line(envelope_, options_.hostname, id_, clock.now());
  scanner_.feed(memory_);
  size_ = memory_.size();
  // Nobody is refused for what we put on top ourselves.
  line_max_ = std::max(options_.line, scanner_.so_far().longest_line);
  if (envelope_.body == BodyType::binary_mime) text_.emplace(false, false);
}

Receiver::~Receiver() { release_memory(); }

void Receiver::release_memory() {
  if (reserved_ > 0) admission_.release_memory(reserved_);
  reserved_ = 0;
}

/// Makes sure that `octets` in all are counted against the budget.
bool Receiver::fits_in_memory(std::uint64_t octets) {
  if (octets > options_.content_in_memory) return false;
  if (octets <= reserved_) return true;
  const std::uint64_t wanted = std::max({octets, 2 * reserved_, reservation_octets_min});
  const std::uint64_t target = std::max(octets, std::min(wanted, options_.content_in_memory));
  if (!admission_.reserve_memory(target - reserved_)) return false;
  reserved_ = target;
  return true;
}

std::optional<Reply> Receiver::over_limit() const {
  if (scanner_.received_fields() > options_.hops + 1) {
    return Reply{554, {5, 4, 6}, "Too many hops, the message may be looping"};
  }
  if (scanner_.header_lines() > options_.header_lines) {
    return Reply{554, {5, 6, 0}, "Header section has too many lines"};
  }
  const ContentFacts& facts = scanner_.so_far();
  const std::uint64_t header = scanner_.in_header() ? size_ : facts.header_size;
  if (header > options_.header) return Reply{552, {5, 3, 4}, "Header section is too big"};
  return too_long_to_stream();
}

/// What went to the spool cannot be re-encoded any more.
std::optional<Reply> Receiver::too_long_to_stream() const {
  if (long_lines_allowed()) return std::nullopt;
  if (!writer_ || scanner_.so_far().longest_line <= line_max_) return std::nullopt;
  if (size_ <= options_.content_in_memory) return no_room();  // of memory, just now
  return not_shortened(line_max_, "is too large to be re-encoded");
}

/// Until it is known not to be.
void Receiver::look_for_text(std::string_view octets) {
  if (!text_) return;
  std::string ignored;
  text_->decode(octets, ignored);
  if (text_->bare_newline() || text_->nul() || text_->longest_line() > line_max_) text_.reset();
}

Task<std::optional<Reply>> Receiver::write(std::string_view octets) {
  scanner_.feed(octets);
  look_for_text(octets);
  size_ += octets.size();
  std::optional<Reply> refusal = over_limit();
  if (refusal) co_return refusal;
  if (!writer_ && fits_in_memory(memory_.size() + octets.size())) {
    memory_.append(octets);
    co_return std::nullopt;
  }
  // Write-behind: one piece is on its way while the next one comes in from the client.
  std::string piece = std::move(memory_);
  memory_.clear();
  piece.append(octets);
  const bool written = co_await stream_out(std::move(piece));
  if (!written) refusal = storage_error();
  co_return refusal;
}

Task<bool> Receiver::stream_out(std::string piece) {
  if (!writer_) {
    writer_ = admission_.open_content(id_);
    if (!writer_) co_return false;
    ++statistics_.content_streamed;
  }
  const bool before = co_await appended();
  if (!before) co_return false;
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  append_ = std::make_shared<Append>(executor);
  // The callback keeps the writer: a connection may end while its piece is being written.
  writer_->append(std::move(piece), [append = append_, writer = writer_,
                                     executor](Result<void> result) mutable {
    asio::post(executor, [append = std::move(append), writer = std::move(writer), result] {
      append->result = result;
      append->changed.notify_all();
    });
  });
  co_return true;
}

/// Waits for the piece under way. False: it failed.
Task<bool> Receiver::appended() {
  if (!append_) co_return true;
  const std::shared_ptr<Append> append = append_;
  while (!append->result) co_await append->changed.wait();
  release_memory();  // what was kept in memory went with the first piece
  const bool good = append->result->has_value();
  if (!good) {
    log::error("content_write_failed")
        .field("id", id_.to_string())
        .field("error", append->result->error().message());
  }
  co_return good;
}

Task<bool> Receiver::seal() {
  const bool written = co_await appended();
  if (!written) co_return false;
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  append_ = std::make_shared<Append>(executor);
  writer_->seal([append = append_, writer = writer_, executor](Result<void> result) mutable {
    asio::post(executor, [append = std::move(append), writer = std::move(writer), result] {
      append->result = result;
      append->changed.notify_all();
    });
  });
  const bool sealed = co_await appended();
  co_return sealed;
}

/// Re-encodes content that has lines which are too long; a reply if that cannot be.
Task<std::optional<Reply>> Receiver::shorten_lines() {
  std::optional<Reply> refusal;
  std::string why;
  std::optional<std::string> shorter = to_short_lines(memory_, line_max_, why);
  if (!shorter) {
    refusal = not_shortened(line_max_, "cannot be re-encoded: " + why);
    co_return refusal;
  }
  log::info("message_reencoded")
      .field("id", id_.to_string())
      .field("client", client_)
      .field("longest_line", scanner_.so_far().longest_line)
      .field("size", shorter->size());
  scanner_ = ContentScanner();
  scanner_.feed(*shorter);
  size_ = shorter->size();
  memory_.clear();
  if (fits_in_memory(shorter->size())) {
    memory_ = std::move(*shorter);
    co_return refusal;
  }
  const bool written = co_await stream_out(std::move(*shorter));
  if (!written) refusal = storage_error();
  co_return refusal;
}

smtp::ContentVerdict Receiver::refused(Reply reply) {
  const std::size_t count = options_.lmtp ? recipients_ : 1;
  return std::vector<Reply>(count, std::move(reply));
}

Task<smtp::ContentVerdict> Receiver::finish() {
  Submission submission;
  submission.id = id_;
  submission.content.id = id_;
  submission.content.facts = scanner_.finish();
  std::optional<Reply> refusal = over_limit();
  if (text_) {
    std::string ignored;
    text_->finish(ignored);
    if (!text_->bare_newline()) envelope_.body = BodyType::eight_bit_mime;
  }
  const bool too_long = submission.content.facts.longest_line > line_max_;
  if (!refusal && too_long && !long_lines_allowed()) {
    refusal = co_await shorten_lines();
    submission.content.facts = scanner_.finish();
  }
  if (!refusal && writer_) {
    const bool sealed = co_await seal();
    if (!sealed) refusal = storage_error();
  }
  if (refusal) {
    smtp::ContentVerdict verdict = refused(std::move(*refusal));
    co_return verdict;
  }
  if (!writer_) {
    submission.content.octets = std::make_shared<const std::string>(std::move(memory_));
  }
  const bool logged = log::enabled(log::Level::info);
  const std::string sender = logged ? envelope_.reverse_path.to_string() : std::string();
  const std::string protocol = logged ? envelope_.origin.protocol : std::string();
  const std::string user = logged ? envelope_.origin.user : std::string();
  submission.envelope = std::move(envelope_);
  auto admitting = admission_.admit(std::move(submission));
  const Admitted admitted = co_await std::move(admitting);
  release_memory();
  if (admitted.status == spool::Status::committed) {
    if (logged) {
      log::info("message_accepted")
          .field("id", admitted.id.to_string())
          .field("protocol", protocol)
          .field("client", client_)
          .field("user", user)
          .field("sender", sender)
          .field("recipients", recipients_)
          .field("size", size_);
    }
  } else {
    log::warning("message_not_accepted")
        .field("id", id_.to_string())
        .field("client", client_)
        .field("status", spool::to_text(admitted.status))
        .field("detail", admitted.detail);
  }
  smtp::ContentVerdict verdict = verdict_of(admitted);
  co_return verdict;
}

smtp::ContentVerdict Receiver::verdict_of(const Admitted& admitted) {
  switch (admitted.status) {
    case spool::Status::committed: {
      ++statistics_.messages_accepted;
      statistics_.recipients_accepted += recipients_;
      statistics_.octets_accepted += size_;
      const std::size_t count = options_.lmtp ? recipients_ : 1;
      const Reply reply{250, {2, 0, 0}, "Ok: queued as " + admitted.id.to_string()};
      return std::vector<Reply>(count, reply);
    }
    case spool::Status::full:
      return refused(no_room());
    case spool::Status::unknown:
      ++statistics_.outcomes_unknown;
      return smtp::NoReply{};
    case spool::Status::missing:
    case spool::Status::refused:
    case spool::Status::fenced:
    case spool::Status::corrupt:
      break;
  }
  return refused(storage_error());
}

}  // namespace mansio::edge
