module millrace/plugin

go 1.24
