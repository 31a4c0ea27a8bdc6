// `sendmail`: the interface through which programs of this machine hand over mail. Exit status of
// sysexits.h; 0 only when the message is on disk, in the daemon's spool or in the maildrop.
#pragma once

#include <string>
#include <vector>

namespace mansio::cli {

/// `program`: sendmail, mailq or newaliases. Never throws.
int run_sendmail(const std::string& program, const std::vector<std::string>& words);

/// The name of a program that is called as `sendmail` is, else "": from argv[0], "/usr/sbin/mailq".
std::string sendmail_name(const std::string& program_path);

}  // namespace mansio::cli
