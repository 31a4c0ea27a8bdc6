// What `sendmail` makes of its input: an envelope, and a message that is complete. Pure.
#pragma once

#include <string>
#include <string_view>

#include "mansio/sendmail_options.h"
#include "message/envelope.h"

namespace mansio::cli {

/// Who runs the command, and the domain that addresses without one belong to.
struct Submitter {
  std::string user;
  std::string full_name;
  std::string domain;
};

struct Composed {
  Envelope envelope;
  std::string content;  ///< CRLF lines
};

/// `unique` becomes the left side of a Message-ID. Throws SendmailFailure: an address that is none,
/// no recipients.
Composed compose(const SendmailOptions& options, const Submitter& submitter, std::string_view input,
                 const std::string& unique, Time now);

}  // namespace mansio::cli
