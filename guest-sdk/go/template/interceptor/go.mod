module my-plugin

go 1.24

require millrace/plugin v0.0.0

replace millrace/plugin => ./../..
