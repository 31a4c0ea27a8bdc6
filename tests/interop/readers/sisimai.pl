# Reads the notices in a folder with Sisimai: {"file name": [{...}, ...]} as JSON.
use strict;
use warnings;
use JSON::PP;
use Sisimai;

my %found;
for my $path (glob("$ARGV[0]/*.eml")) {
    my ($name) = $path =~ m{([^/]+)\.eml\z};
    # Without "delivered", Sisimai leaves out what did not fail.
    my $list = Sisimai->make($path, 'delivered' => 1) || [];
    $found{$name} = [map { {
        recipient => $_->recipient->address, alias => $_->alias, action => $_->action, reason => $_->reason,
        status => $_->deliverystatus, reply => $_->replycode, soft => 0 + $_->softbounce,
        diagnostic => $_->diagnosticcode, subject => $_->subject, from => $_->addresser->address,
    } } @$list];
}
print JSON::PP->new->canonical->utf8->encode(\%found);
