module clade/jepsen

go 1.19
